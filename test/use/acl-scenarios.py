# What programs see of extended attributes and access lists: run in a directory of each of two
# filesystems, its output must be the same. argv: the directory, the scenario. Runs as root; children
# act as the ordinary users A (uid and gid 4001) and B (4002).
import ctypes, errno, os, stat, struct, sys

A, B, TEAM = 4001, 4002, 4003
ACCESS, DEFAULT = 'system.posix_acl_access', 'system.posix_acl_default'
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
CAP = bytes.fromhex('0100000200040000000000000000000000000000')
libc = ctypes.CDLL(None, use_errno=True)


def acl(*entries, version=2):
    packed = [struct.pack('<HHI', e[0], e[1], e[2] if len(e) > 2 else 0xFFFFFFFF) for e in entries]
    return struct.pack('<I', version) + b''.join(packed)


def minimal(mode):
    return acl((USER_OBJ, mode >> 6 & 7), (GROUP_OBJ, mode >> 3 & 7), (OTHER, mode & 7))


def full(user=7, named=7, group=5, mask=7, other=0, uid=A):
    return acl((USER_OBJ, user), (USER, named, uid), (GROUP_OBJ, group), (MASK, mask), (OTHER, other))


def say(*words):
    print(*words, flush=True)


def attempt(what, call, *args, **more):
    try:
        result = call(*args, **more)
        if isinstance(result, bytes): result = result.hex()
    except OSError as e:
        result = errno.errorcode[e.errno]
    say(what, result)


def as_user(uid, call, groups=(), gid=None):
    """Runs `call` in a child that is `uid`; its output is ours."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(list(groups)); os.setgid(uid if gid is None else gid); os.setuid(uid)
            call()
        except BaseException as e:
            say('FAILED', repr(e))
        os._exit(0)
    os.waitpid(child, 0)


def with_umask(mask, call):
    before = os.umask(mask)
    try: call()
    finally: os.umask(before)


def put(name, mode=0o644, uid=0, gid=0, text='text'):
    with open(name, 'w') as f: f.write(text)
    os.chown(name, uid, gid); os.chmod(name, mode)


def lists(name):
    found = {}
    for a in (ACCESS, DEFAULT):
        try: found[a[17:]] = os.getxattr(name, a, follow_symlinks=False).hex()
        except OSError as e: found[a[17:]] = errno.errorcode[e.errno]
    return found


def show(name):
    s = os.lstat(name)
    say(name, oct(s.st_mode), s.st_uid, s.st_gid, lists(name), sorted(os.listxattr(name, follow_symlinks=False)))


def touch(name, mode=0o666):
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))


def temporary(name, mode):
    fd = os.open('.', os.O_TMPFILE | os.O_RDWR, mode)
    say('nameless', oct(os.fstat(fd).st_mode), os.fstat(fd).st_gid)
    os.link(f'/proc/self/fd/{fd}', name, follow_symlinks=True); os.close(fd)


def namespaces():
    os.umask(0)
    put('file', 0o666); os.mkdir('dir'); os.chmod('dir', 0o777); os.mkfifo('fifo', 0o666)
    os.mkdir('sticky'); os.chmod('sticky', 0o1777)
    os.symlink('file', 'link'); os.mknod('device', stat.S_IFCHR | 0o666, os.makedev(1, 3))
    names = ['user.a', 'trusted.a', 'security.a', 'system.a', 'foo.a', 'a', 'user.', 'trusted.', 'security.',
             'user.' + 'n' * 250, 'user.' + 'n' * 251, '', ACCESS, DEFAULT]
    def each(who):
        for target in ['file', 'dir', 'sticky', 'fifo', 'link', 'device']:
            for name in names:
                at = (who, target, name[:24], len(name))
                value = full() if name in (ACCESS, DEFAULT) else b'v'
                attempt((*at, 'get'), os.getxattr, target, name, follow_symlinks=False)
                attempt((*at, 'set'), os.setxattr, target, name, value, follow_symlinks=False)
                attempt((*at, 'get'), os.getxattr, target, name, follow_symlinks=False)
                attempt((*at, 'remove'), os.removexattr, target, name, follow_symlinks=False)
                attempt((*at, 'remove again'), os.removexattr, target, name, follow_symlinks=False)
            attempt((who, target, 'list'), os.listxattr, target, follow_symlinks=False)
    each('root')
    for target in ['file', 'dir', 'sticky']:
        os.setxattr(target, 'trusted.seen', b'by root'); os.setxattr(target, 'user.seen', b'by all')
        say('root lists', target, sorted(os.listxattr(target)))
    as_user(A, lambda: [attempt(('A lists', t), lambda t=t: sorted(os.listxattr(t))) for t in ['file', 'dir']])
    as_user(A, lambda: attempt('A gets trusted', os.getxattr, 'file', 'trusted.seen'))
    as_user(A, lambda: each('A'))


def flags():
    put('file')
    for step, name, flag in [('replace none', 'user.a', 2), ('create', 'user.a', 1), ('create again', 'user.a', 1),
                             ('replace', 'user.a', 2), ('unknown', 'user.a', 4),
                             ('list: create', ACCESS, 1), ('list: replace', ACCESS, 2)]:
        attempt(step, os.setxattr, 'file', name, full() if name == ACCESS else step.encode(), flag)
    attempt('empty value', os.setxattr, 'file', 'user.e', b'')
    attempt('empty value', os.getxattr, 'file', 'user.e')
    os.setxattr('file', 'user.ten', b'0123456789')
    for call, args in [(libc.getxattr, (b'file', b'user.ten')), (libc.listxattr, (b'file',))]:
        for size in [0, 4, 9, 200]:
            buffer = ctypes.create_string_buffer(256)
            got = call(*args, buffer, size)
            say('room', len(args), size, got if got >= 0 else errno.errorcode[ctypes.get_errno()])
    show('file')


def values():
    put('file'); os.mkdir('dir')
    wrong = {
        'empty': b'', 'header': acl(), 'short': b'\2\0\0', 'version 1': acl((USER_OBJ, 7), version=1),
        'version 3': acl((USER_OBJ, 6), (GROUP_OBJ, 4), (OTHER, 4), version=3), 'cut': full()[:-3],
        'no other': acl((USER_OBJ, 6), (GROUP_OBJ, 4)), 'no owner': acl((GROUP_OBJ, 4), (OTHER, 4)),
        'order': acl((GROUP_OBJ, 4), (USER_OBJ, 6), (OTHER, 4)), 'owner twice': acl((USER_OBJ, 6), (USER_OBJ, 6), (GROUP_OBJ, 4), (OTHER, 4)),
        'no mask': acl((USER_OBJ, 6), (USER, 4, A), (GROUP_OBJ, 4), (OTHER, 4)),
        'mask twice': acl((USER_OBJ, 6), (GROUP_OBJ, 4), (MASK, 4), (MASK, 4), (OTHER, 4)),
        'too much': acl((USER_OBJ, 8), (GROUP_OBJ, 4), (OTHER, 4)), 'tag': acl((USER_OBJ, 6), (3, 4), (GROUP_OBJ, 4), (OTHER, 4)),
        'no id': acl((USER_OBJ, 6), (USER, 4), (GROUP_OBJ, 4), (MASK, 4), (OTHER, 4)),
        'same id twice': acl((USER_OBJ, 6), (USER, 4, A), (USER, 6, A), (GROUP_OBJ, 4), (MASK, 4), (OTHER, 4)),
        'ids not sorted': acl((USER_OBJ, 6), (USER, 4, B), (USER, 6, A), (GROUP_OBJ, 4), (MASK, 4), (OTHER, 4)),
        'mask for nobody': acl((USER_OBJ, 6), (GROUP_OBJ, 4), (MASK, 6), (OTHER, 4)),
        'id of owner': acl((USER_OBJ, 6, 77), (GROUP_OBJ, 4, 78), (OTHER, 4, 79)),
        'groups': acl((USER_OBJ, 6), (GROUP_OBJ, 4), (GROUP, 7, TEAM), (GROUP, 2, B), (MASK, 3), (OTHER, 1)),
        'minimal': minimal(0o751), 'full': full(),
        'long': acl((USER_OBJ, 6), *[(USER, 4, 10000 + i) for i in range(96)], (GROUP_OBJ, 4), (MASK, 4), (OTHER, 4)),
    }
    for what, value in wrong.items():
        for target in ['file', 'dir']:
            for name in [ACCESS, DEFAULT]:
                os.chmod(target, 0o2644)
                attempt((what, target, name[17:]), os.setxattr, target, name, value)
            show(target)
            attempt(('over', what, target), os.setxattr, target, ACCESS, full(7, 1, 2, 3, 4))
            show(target)
            attempt(('again', what, target), os.setxattr, target, ACCESS, value)
            show(target)
            for name in [ACCESS, DEFAULT]: attempt(('remove', target), os.removexattr, target, name)
            show(target)


def chmods():
    put('file', 0o640); os.mkdir('dir')
    for name in ['file', 'dir']:
        for value in [full(), acl((USER_OBJ, 6), (GROUP_OBJ, 5), (MASK, 1), (OTHER, 4)), minimal(0o751)]:
            os.setxattr(name, ACCESS, value)
            for mode in [0o777, 0o640, 0o7000, 0o4755, 0o025, 0o2710]:
                os.chmod(name, mode); show(name)
    before = os.stat('file').st_ctime_ns
    os.setxattr('file', ACCESS, full(1, 2, 3, 4, 5))
    say('ctime moves', os.stat('file').st_ctime_ns > before, oct(os.stat('file').st_mode))
    fd = os.open('file', os.O_RDONLY)
    os.fchmod(fd, 0o777); say(oct(os.fstat(fd).st_mode)); show('file')


def inheritance():
    defaults = {'none': None, 'full': full(), 'tight': full(6, 4, 2, 1, 0), 'minimal': minimal(0o750),
                'mask only': acl((USER_OBJ, 7), (GROUP_OBJ, 5), (MASK, 3), (OTHER, 5)),
                'groups': acl((USER_OBJ, 7), (USER, 6, B), (GROUP_OBJ, 4), (GROUP, 7, TEAM), (MASK, 6), (OTHER, 2))}
    def make(prefix):
        for mode in [0o777, 0o666, 0o640, 0, 0o7777]:
            n = f'{prefix}-{mode:o}-'
            attempt('create', touch, n + 'f', mode); attempt('mkdir', os.mkdir, n + 'd', mode)
            attempt('nameless', temporary, n + 't', mode); attempt('mkfifo', os.mkfifo, n + 'p', mode); attempt('symlink', os.symlink, 'x', n + 'l')
            for end in 'fdptl': attempt('show', show, n + end)
        attempt('mkdir', os.mkdir, f'{prefix}-d'); attempt('touch', touch, f'{prefix}-d/f')
        attempt('show', show, f'{prefix}-d'); attempt('show', show, f'{prefix}-d/f')
        # link and rename bring their own lists along.
        attempt('link', os.link, f'{prefix}-666-f', f'{prefix}-d/linked'); attempt('show', show, f'{prefix}-d/linked')
        attempt('rename', os.rename, f'{prefix}-640-f', f'{prefix}-d/moved'); attempt('show', show, f'{prefix}-d/moved')
    for what, value in defaults.items():
        for mode in [0o777, 0o2777]:
            os.mkdir('d'); os.chown('d', 0, TEAM); os.chmod('d', mode)
            if value is not None: os.setxattr('d', DEFAULT, value)
            show('d'); os.chdir('d')
            for umask in [0, 0o022, 0o077, 0o777]:
                say(what, oct(mode), oct(umask))
                with_umask(umask, lambda: make(f'root-{umask:o}'))
            with_umask(0o027, lambda: as_user(A, lambda: make('A')))
            with_umask(0o027, lambda: as_user(A, lambda: make('AT'), groups=[TEAM]))
            os.chdir('..'); os.rename('d', f'd-{what}-{mode:o}')


def enforcement():
    def tries(*names):
        for n in names:
            for what, flag in [('read', os.R_OK), ('write', os.W_OK), ('run', os.X_OK)]:
                say(n, what, os.access(n, flag, effective_ids=True))
            attempt((n, 'open r'), lambda: os.read(os.open(n, os.O_RDONLY), 4))
            attempt((n, 'open w'), lambda: os.write(os.open(n, os.O_WRONLY), b'text'))
    values = {'named': full(7, 6, 0, 7, 0), 'masked': full(7, 7, 0, 4, 0), 'denied': full(7, 0, 7, 7, 7),
              'group': acl((USER_OBJ, 7), (GROUP_OBJ, 0), (GROUP, 6, TEAM), (MASK, 7), (OTHER, 0)),
              'either': acl((USER_OBJ, 7), (GROUP_OBJ, 2), (GROUP, 4, TEAM), (MASK, 7), (OTHER, 7))}
    os.umask(0)
    for what, value in values.items():
        put(what, 0o600); os.setxattr(what, ACCESS, value)
        os.mkdir('d-' + what, 0o700); put('d-' + what + '/f', 0o644); os.setxattr('d-' + what, ACCESS, value)
    def everything(who):
        say(who)
        tries(*values)
        for what in values:
            attempt((what, 'list'), os.listdir, 'd-' + what); attempt((what, 'stat'), lambda: os.stat(f'd-{what}/f').st_size)
            attempt((what, 'make'), touch, f'd-{what}/{who}'); attempt((what, 'unlink'), os.unlink, f'd-{what}/{who}')
        attempt('set', os.setxattr, 'named', ACCESS, full()); attempt('set default', os.setxattr, 'd-named', DEFAULT, full())
        attempt('remove', os.removexattr, 'named', ACCESS); attempt('read list', os.getxattr, 'named', ACCESS)
        attempt('chmod', os.chmod, 'named', 0o777)
    as_user(A, lambda: everything('A')); as_user(B, lambda: everything('B'))
    as_user(B, lambda: everything('BT'), groups=[TEAM])
    os.chown('denied', B, B); as_user(B, lambda: everything('owner'))
    # What a change takes away is gone at once, also for one who had it.
    os.chmod('named', 0o600); as_user(A, lambda: tries('named'))
    os.chmod('named', 0o660); as_user(A, lambda: tries('named'))
    os.removexattr('named', ACCESS); as_user(A, lambda: tries('named'))
    os.setxattr('named', ACCESS, full()); as_user(A, lambda: tries('named'))
    os.setxattr('named', ACCESS, full(uid=B)); as_user(A, lambda: tries('named'))


def setgid():
    os.umask(0)
    os.mkdir('team'); os.chown('team', 0, TEAM); os.chmod('team', 0o2777); os.chdir('team')
    def make(who):
        for mode in [0o2777, 0o2755, 0o2745, 0o6711, 0o644]:
            n = f'{who}-{mode:o}'
            touch(n, mode); show(n); os.mkdir(n + 'd', mode); show(n + 'd'); os.mknod(n + 'n', stat.S_IFREG | mode); show(n + 'n')
            attempt('chmod', os.chmod, n, 0o2755); show(n)
            attempt('list', os.setxattr, n, ACCESS, full()); show(n)
            attempt('minimal', os.setxattr, n, ACCESS, minimal(0o755)); show(n)
            attempt('chmod dir', os.chmod, n + 'd', 0o2755); show(n + 'd')
            attempt('list dir', os.setxattr, n + 'd', ACCESS, full()); show(n + 'd')
            attempt('default', os.setxattr, n + 'd', DEFAULT, full()); show(n + 'd')
    make('root'); as_user(A, lambda: make('A')); as_user(A, lambda: make('AT'), groups=[TEAM, B])
    as_user(A, lambda: make('TA'), gid=TEAM)
    with_umask(0o077, lambda: as_user(A, lambda: make('masked'), groups=[TEAM]))


def privileges():
    def direct(n):
        import mmap
        fd = os.open(n, os.O_WRONLY | os.O_DIRECT); m = mmap.mmap(-1, 4096); m.write(b'd' * 4096)
        os.write(fd, m); os.close(fd)
    def mapped(n):
        import mmap
        fd = os.open(n, os.O_RDWR); m = mmap.mmap(fd, 4096); m[0:3] = b'map'; m.flush(); m.close(); os.close(fd)
    def append(n):
        with open(n, 'a') as f: f.write('more')
    def nothing(n):
        fd = os.open(n, os.O_WRONLY); os.write(fd, b''); os.close(fd)
    def fallocate(n):
        fd = os.open(n, os.O_WRONLY); os.posix_fallocate(fd, 0, 100); os.close(fd)
    def copy(n):
        source = os.open('source', os.O_RDONLY); fd = os.open(n, os.O_WRONLY)
        os.copy_file_range(source, fd, 8192, 0, 0); os.close(fd); os.close(source)
    put('source', text='s' * 8192)
    ways = {'append': append, 'copy': copy, 'nothing': nothing, 'truncate': lambda n: os.truncate(n, 1), 'grow': lambda n: os.truncate(n, 99999),
            'open and truncate': lambda n: os.close(os.open(n, os.O_WRONLY | os.O_TRUNC)), 'direct': direct,
            'chown': lambda n: os.chown(n, -1, A), 'same owner': lambda n: os.chown(n, A, A), 'chmod': lambda n: os.chmod(n, 0o6770),
            'read': lambda n: open(n).read(), 'times': lambda n: os.utime(n), 'attribute': lambda n: os.setxattr(n, 'user.a', b'x'),
            'list': lambda n: os.setxattr(n, ACCESS, full())}
    def caps(n):
        try: return os.getxattr(n, 'security.capability').hex()
        except OSError as e: return errno.errorcode[e.errno]
    for who in ['root', 'A', 'B']:
        for mode in [0o6777, 0o2777, 0o777]:
            for what, way in ways.items():
                n = f'{who}-{mode:o}-{what}'
                put(n, mode, A, A); os.chmod(n, mode)
                # Root's write to a file with both: docs/posix.md, a request that means two things.
                if who != 'root' or mode == 0o777: os.setxattr(n, 'security.capability', CAP)
                act = lambda: attempt((what, who), lambda: way(n) and None)
                act() if who == 'root' else as_user(A if who == 'A' else B, act)
                say(n, oct(os.stat(n).st_mode), caps(n), sorted(os.listxattr(n)))
    os.mkdir('dir', 0o6777); os.chmod('dir', 0o6777); os.setxattr('dir', 'security.capability', CAP)
    os.chown('dir', A, A); say(oct(os.stat('dir').st_mode), caps('dir'))
    put('no program', 0o6767, A, A); os.chown('no program', B, -1); show('no program')
    as_user(A, lambda: attempt('a user sets capabilities', os.setxattr, 'root-777-append', 'security.capability', CAP))
    # A file that is being written has none from the first byte on, and can be given new ones.
    put('open', 0o777); os.setxattr('open', 'security.capability', CAP)
    with open('open', 'ab', buffering=0) as f:
        f.write(b'x'); say(caps('open'), os.listxattr('open'))
        os.setxattr('open', 'security.capability', CAP); say(caps('open')); f.write(b'y'); say(caps('open'))
    say(caps('open'), os.listxattr('open'))


os.chdir(sys.argv[1]); os.umask(0o022)
os.mkdir(sys.argv[2]); os.chmod(sys.argv[2], 0o755); os.chdir(sys.argv[2])
{f.__name__: f for f in [namespaces, flags, values, chmods, inheritance, enforcement, setgid, privileges]}[sys.argv[2]]()
