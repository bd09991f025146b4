/** The random port: seeds, identities, generations. Simulation replaces it by a seeded one. */

export interface Random {
  bytes(count: number): Buffer;
  /** Uniform integer in [0, below), below <= 2^48. */
  integer(below: number): number;
}
