import { readFile } from "node:fs/promises";
import type { TestServer } from "../../support/http.ts";

/** One part of the account as Terraform makes it: a module of the one configuration that `../terraform.test.ts` takes through its life. */
export interface Lesson {
  /** A name of Terraform's. */
  readonly name: string;
  /** Providers' endpoints that it needs. */
  readonly services: readonly string[];
  configuration(): Promise<string>;
  /** The same with what changes in place. */
  changed(configuration: string): string;
  /** Before anything is made. */
  before?(server: TestServer): Promise<void>;
  applied?(outputs: Readonly<Record<string, unknown>>, server: TestServer): Promise<void> | void;
  afterChange?(outputs: Readonly<Record<string, unknown>>, server: TestServer): Promise<void> | void;
  destroyed(server: TestServer): Promise<void>;
  close?(): Promise<void>;
}

export const fileOf = (name: string) => readFile(new URL(name, import.meta.url), "utf8");

/** Keys of the store below any of the prefixes. */
export const keysBelow = async (server: TestServer, ...prefixes: readonly string[]): Promise<string[]> =>
  (await Promise.all(prefixes.map((prefix) => server.deps.store.list(prefix)))).flatMap(({ entries }) => entries.map(({ key }) => key));
