/** A connection that carries whole binary messages. */
export interface Peer {
  /** `sent` is called when they have left the memory. */
  send(bytes: Uint8Array, sent?: () => void): void;
  /** Bytes that wait to leave. */
  buffered(): number;
  /** No more messages are taken from the network, until `resume`. */
  pause(): void;
  resume(): void;
  close(code: number): void;
  terminate(): void;
  onMessage(listener: (bytes: Uint8Array) => void): void;
  /** Called once. */
  onClose(listener: () => void): void;
}

/** Whoever reads slower than the other writes makes it wait, and costs no more memory than this: more than an agent sends without an acknowledgement. */
const highWater = 512 * 1024;

/**
 * Passes on what comes from `from`, as long as `pass` says so, to whoever is at the other end at that moment; without anybody there it is dropped, for both ends send again what was not
 * acknowledged.
 */
export function relay(from: Peer, to: () => Peer | undefined, pass: (bytes: Uint8Array) => boolean): void {
  from.onMessage((bytes) => {
    if (!pass(bytes)) return;
    const other = to();
    if (!other) return;
    other.send(bytes, () => {
      if (other.buffered() <= highWater / 2) from.resume();
    });
    if (other.buffered() > highWater) from.pause();
  });
}
