"""Reads Avro container files with the Python implementation of Avro and prints one JSON object a
record: bytes as {"$bytes": hex}, 8-byte fixed as {"$u64": decimal}, times as microseconds, and
events with their name as "type". Used by interop.test.ts."""

import datetime
import json
import sys
import warnings

warnings.simplefilter("ignore")

from avro.datafile import DataFileReader  # noqa: E402
from avro.io import DatumReader  # noqa: E402

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class NamingReader(DatumReader):
    """Tells which branch of a union a record came from."""

    def read_union(self, writers_schema, readers_schema, decoder):
        branch = writers_schema.schemas[int(decoder.read_long())]
        datum = self.read_data(branch, branch, decoder)
        if len(writers_schema.schemas) > 2:
            return {"type": branch.name, **datum}
        return datum

    def read_fixed(self, writers_schema, readers_schema, decoder):
        datum = decoder.read(writers_schema.size)
        if writers_schema.name == "U64":
            return {"$u64": str(int.from_bytes(datum, "big"))}
        return datum


def plain(value):
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


for path in sys.argv[1:]:
    with DataFileReader(open(path, "rb"), NamingReader()) as reader:
        for record in reader:
            print(json.dumps(plain(record)))
