/** What the parts of the demo have in common: how they talk, how they wait, what they must undo. */
let stepNumber = 0;

/** What a step does, and what a user would type for it after `eval "$(./gantry env)"`. */
export function step(text: string, typed: readonly string[]): void {
  stepNumber++;
  process.stdout.write(`\n${stepNumber}. ${text}\n${typed.map((line) => `   $ ${line}\n`).join("")}`);
}

export const show = (text: string) => process.stdout.write(text.replace(/^(?=.)/gm, "   ") + "\n");

/** Things to undo; the last one made goes first. */
export class CleanUps {
  readonly #steps: (() => Promise<unknown>)[] = [];
  add(undo: () => Promise<unknown>): void {
    this.#steps.push(undo);
  }
  async run(): Promise<void> {
    for (const undo of this.#steps.splice(0).toReversed()) await undo().catch(() => undefined);
  }
}

/** The page at `url`; empty while nobody answers with one. */
export const read = (url: string): Promise<string> =>
  fetch(url, { signal: AbortSignal.timeout(2000) }).then(
    (response) => (response.ok ? response.text() : ""),
    () => "",
  );

export async function until<T>(look: () => Promise<T>, good: (value: T) => boolean, seconds = 60): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await look();
    if (good(value)) return value;
    if (Date.now() > end) throw new Error(`nothing came of it within ${seconds} s: ${JSON.stringify(value).slice(0, 400)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
