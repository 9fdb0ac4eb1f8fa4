/** Machines that joined this Gantry by a token, and the tokens that let them in. Outside accounts and regions: they are the operator's. */
export const machineKeys = {
  tokens: () => "/machines/token/",
  token: (id: string) => `/machines/token/${id}`,
  machines: () => "/machines/machine/",
  machine: (id: string) => `/machines/machine/${id}`,
};

/** Nothing of the secret is kept but its SHA-256 (it has 192 random bits). Writer: `src/services/ecs/machines`. */
export interface JoinTokenRecord {
  readonly id: string;
  readonly secretHash: string;
  readonly account: string;
  readonly region: string;
  /** The one cluster that a machine may register in with it. */
  readonly cluster: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly expiresAt: number;
  /** How many machines it lets in, and those that came. */
  readonly uses: number;
  readonly machines: readonly string[];
}

/** A machine's own key, made by itself when it joins, proves who it is for as long as this record stands. Writer: as above. */
export interface MachineRecord {
  /** `m-` and 17 hex digits of the key's hash. */
  readonly id: string;
  readonly keyHash: string;
  readonly account: string;
  readonly region: string;
  readonly cluster: string;
  /** What it calls itself, for people. */
  readonly hostname: string;
  readonly token: string;
  readonly joinedAt: number;
}
