import type { Outcome } from "./inspect.ts";

/** What the thread of a scan is given to begin with. */
export interface ScanInput {
  /** The home of this Gantry, where the vulnerability database is. */
  readonly home: string;
}

/** `want`: the next piece, please. */
export type FromScan = { readonly want: true } | { readonly outcome: Outcome };

/** A piece of a layer; the end of a layer; the end of the image. */
export type ToScan = { readonly piece: Uint8Array } | { readonly layerEnds: true } | { readonly imageEnds: true };
