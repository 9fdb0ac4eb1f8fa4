/** Where a container's lines go. One for each container; the pump owns it and calls one method at a time. */
export interface Sink {
  /** The longest line that it takes in one piece, in bytes. */
  readonly longestLine: number;
  /**
   * Takes lines of one stream. Resolves once they are safe, to how many of the lines they were: fewer than all when the last ones may
   * belong to an event that goes on (they come again). Rejects when nothing could be kept; the same lines come again later.
   */
  write(
    stream: "stdout" | "stderr",
    lines: readonly { readonly text: string; readonly partial: boolean }[],
    final: boolean,
  ): Promise<number>;
  /** More unread bytes than this and the oldest are skipped. */
  readonly backlogBytes: number;
}
