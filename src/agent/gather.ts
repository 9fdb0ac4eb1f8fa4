/**
 * Makes one piece of work of many: what is asked for while the piece before is being done goes into the next one, `most` at a time. `work` says for each job, in their order, what
 * went wrong with it, or undefined.
 */
export function gather<Job>(
  most: number,
  work: (jobs: readonly Job[]) => Promise<readonly (Error | undefined)[]>,
): (job: Job) => Promise<void> {
  const queue: { readonly job: Job; readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  let running = false;

  const run = async (): Promise<void> => {
    // Whoever asks in the same moment comes along.
    await new Promise((resolve) => setImmediate(resolve));
    while (queue.length > 0) {
      const some = queue.splice(0, most);
      const failures = await work(some.map(({ job }) => job)).catch((error: unknown) => some.map(() => error as Error));
      for (const [at, { resolve, reject }] of some.entries()) {
        const failure = failures[at];
        if (failure) reject(failure);
        else resolve();
      }
    }
    running = false;
  };

  return (job) =>
    new Promise((resolve, reject) => {
      queue.push({ job, resolve, reject });
      if (running) return;
      running = true;
      void run();
    });
}

/** All at once; if that fails, each by itself, so that one that cannot be done fails alone. */
export async function together<Job>(
  jobs: readonly Job[],
  work: (jobs: readonly Job[]) => Promise<void>,
): Promise<readonly (Error | undefined)[]> {
  const failure = await work(jobs).then(
    () => undefined,
    (error: unknown) => error as Error,
  );
  if (!failure || jobs.length === 1) return [failure];
  const failures: (Error | undefined)[] = [];
  for (const job of jobs)
    failures.push(
      await work([job]).then(
        () => undefined,
        (error: unknown) => error as Error,
      ),
    );
  return failures;
}
