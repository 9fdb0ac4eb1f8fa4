/**
 * Pushes, mounts, deletes and the collector, all at once, in random order of their steps. Whatever was acknowledged and not deleted can be
 * pulled, no push is disturbed, and when all is quiet exactly what is referred to is left.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FakeClock } from "#platform/fake-clock.ts";
import { readConfig } from "#platform/config.ts";
import { silentLogger } from "#platform/log.ts";
import { type Random, seededRandom } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { createVault } from "#platform/vault.ts";
import type { BlobStore } from "#registry/blobs/blob-store.ts";
import { createFileBlobStore } from "#registry/blobs/file-store.ts";
import { RegistryError } from "#registry/errors.ts";
import type { RepositoryRecord } from "#registry/records.ts";
import { createRegistry, type Registry } from "#registry/registry.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import type { Store } from "#store/store.ts";
import { from } from "./blob-store-conformance.ts";
import { digestOf, types } from "./support.ts";

const hour = 3_600_000;
const where = { account: "000000000000", region: "us-east-1" };
const names = ["one", "two"];
const contents = Array.from({ length: 5 }, (_, index) => Buffer.from(`layer ${index}`));

/** Every call of these takes a random number of turns of the event loop, before and after. */
function jittered<T extends object>(target: T, methods: readonly string[], random: Random): T {
  const pause = async () => {
    for (let turns = Math.floor(random.next() * 4); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
  };
  return new Proxy(target, {
    get(of, name) {
      const value = Reflect.get(of, name) as unknown;
      if (typeof value !== "function") return value;
      if (!methods.includes(String(name))) return value.bind(of) as unknown;
      return async (...args: unknown[]) => {
        await pause();
        const result = (await (value as (...all: unknown[]) => unknown).apply(of, args)) as unknown;
        await pause();
        return result;
      };
    },
  });
}

interface World {
  readonly registry: Registry;
  readonly clock: FakeClock;
  readonly random: Random;
}

async function withWorld(seed: number, work: (world: World) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), "gantry-collector-"));
  const random = seededRandom(seed);
  const clock = new FakeClock(Date.now());
  const store = await openSqliteStore({ path: ":memory:", clock });
  const blobs = createFileBlobStore({ root: join(home, "registry"), random, clock, log: silentLogger });
  const deps = {
    store: jittered<Store>(store, ["get", "list", "transaction"], random),
    clock,
    random,
    vault: createVault([new Uint8Array(32)]),
    sealer: createSealer(Buffer.alloc(32)),
    config: readConfig({ GANTRY_HOME: home }),
    log: silentLogger,
  };
  const registry = createRegistry(deps, { blobs: jittered<BlobStore>(blobs, ["stat", "read", "begin", "remove"], random) });
  try {
    await blobs.start();
    for (const name of names) await registry.repositories.create(where, name, {});
    await work({ registry, clock, random });
  } finally {
    await store.close();
    await rm(home, { recursive: true, force: true });
  }
}

async function upload({ registry, random }: World, repository: RepositoryRecord, bytes: Buffer): Promise<void> {
  const pending = await registry.blobs.begin(random.uuid(), {});
  await pending.append(from(bytes));
  await registry.layers.store(repository, digestOf(bytes), bytes.length, () => pending.commit(digestOf(bytes)));
}

/** As a container tool pushes: what is there already is not sent again. */
async function push(world: World, name: string): Promise<void> {
  const { registry, random } = world;
  const repository = await registry.repositories.find(where, name);
  if (!repository) return;
  const layers = contents.filter(() => random.next() < 0.5);
  const config = Buffer.from(JSON.stringify({ number: Math.floor(random.next() * 3) }));
  for (const bytes of [...layers, config]) {
    const digest = digestOf(bytes);
    if (await registry.layers.find(repository, digest, "rely")) continue;
    const other = await registry.repositories.find(where, names[Math.floor(random.next() * names.length)]!);
    if (other && random.next() < 0.5 && (await registry.layers.mount(other, repository, digest))) continue;
    await upload(world, repository, bytes);
  }
  const descriptor = (bytes: Buffer, mediaType: string) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: types.manifest,
    config: descriptor(config, types.config),
    layers: layers.map((bytes) => descriptor(bytes, types.layer)),
  });
  const tag = random.next() < 0.7 ? `t${Math.floor(random.next() * 3)}` : undefined;
  try {
    await registry.images.put(repository, { bytes: Buffer.from(manifest), mediaType: undefined, tag });
  } catch (error) {
    // Only somebody who deletes the repository, or the one layer that `disturb` deletes, may come between. Never the collector.
    const now = await registry.repositories.find(where, name);
    const missing = error instanceof RegistryError && error.kind === "LayersMissing" ? (error.detail as { digests: string[] }).digests : [];
    const deleted = missing.length === 1 && missing[0] === digestOf(contents[0]!);
    if (!(error instanceof RegistryError) || (now?.id === repository.id && !deleted)) throw error;
  }
}

async function disturb({ registry, random }: World, name: string): Promise<void> {
  const repository = await registry.repositories.find(where, name);
  if (!repository) return;
  try {
    const images = await registry.images.list(repository);
    const image = images[Math.floor(random.next() * images.length)];
    const chance = random.next();
    if (chance < 0.1) {
      await registry.repositories.remove(where, name, true);
      await registry.repositories.create(where, name, {});
    } else if (chance < 0.4) await registry.images.removeTag(repository, `t${Math.floor(random.next() * 3)}`, random.next() < 0.5);
    else if (chance < 0.9 && image) await registry.images.remove(repository, image.digest);
    else await registry.layers.remove(repository, digestOf(contents[0]!));
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
  }
}

/** Every image there is can be pulled whole. Returns all digests that are referred to. */
async function pullEverything({ registry }: World): Promise<Set<string>> {
  const referred = new Set<string>();
  for (const repository of await registry.repositories.list(where)) {
    const images = await registry.images.list(repository);
    assert.equal(repository.images, images.length, "the count of images is true");
    for (const image of images) {
      for (const digest of [image.digest, ...image.blobs]) {
        referred.add(digest);
        const read = await registry.blobs.read(digest);
        assert.ok(read, `${digest} of ${repository.name} is gone`);
        for await (const _ of read.pieces());
        if (digest !== image.digest)
          assert.ok(await registry.layers.find(repository, digest), `${repository.name} no longer holds ${digest}`);
      }
    }
  }
  return referred;
}

async function scenario(world: World): Promise<void> {
  const { registry, clock, random } = world;
  for (let round = 0; round < 4; round++) {
    let busy = true;
    const collecting = (async () => {
      while (busy) {
        await registry.collect();
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const actors = names.flatMap((name) => [
      push(world, name),
      push(world, name),
      push(world, name),
      disturb(world, name),
      disturb(world, name),
    ]);
    // A push takes less than half a grace period, else it may find its layers gone.
    const ticking = (async () => {
      for (let ticks = 0; ticks < 10; ticks++) await clock.advance(random.next() * hour);
    })();
    const outcomes = await Promise.allSettled([...actors, ticking]);
    busy = false;
    await collecting;
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    await clock.advance(random.next() < 0.5 ? 25 * hour : hour);
    await registry.collect();
    await pullEverything(world);
  }
  await clock.advance(25 * hour);
  await registry.collect();
  const referred = await pullEverything(world);
  const kept: string[] = [];
  for await (const { digest } of registry.blobs.list()) kept.push(digest);
  assert.deepEqual(kept.toSorted(), [...referred].toSorted(), "exactly what is referred to is left");
}

const first = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
const count = process.env.SEED ? 1 : 25;
for (let seed = first; seed < first + count; seed++) {
  test(`collecting beside pushes, SEED=${seed}`, { timeout: 200_000 }, () => withWorld(seed, scenario));
}

test("a layer that was pushed is left alone for a day, asked for again another half at least", () =>
  withWorld(1, async (world) => {
    const { registry, clock } = world;
    const repository = await registry.repositories.get(where, "one");
    const bytes = Buffer.from("a layer");
    await upload(world, repository, bytes);
    await clock.advance(23 * hour);
    await registry.collect();
    assert.ok(await registry.layers.find(repository, digestOf(bytes), "rely"));
    await clock.advance(23 * hour);
    await registry.collect();
    assert.ok(await registry.layers.find(repository, digestOf(bytes)));
    await clock.advance(2 * hour);
    assert.deepEqual(await registry.collect(), { layers: 1, blobs: 1, bytes: bytes.length });
    assert.equal(await registry.layers.find(repository, digestOf(bytes)), undefined);
  }));

test("an upload nobody goes on with is removed after a day, one in use is not", () =>
  withWorld(2, async ({ registry, clock }) => {
    const repository = await registry.repositories.get(where, "one");
    const id = await registry.uploads.begin(repository);
    await registry.uploads.use(repository, id, (pending) => pending.append(from(Buffer.from("half"))));
    await clock.advance(23 * hour);
    await registry.uploads.sweep();
    assert.equal(await registry.uploads.size(repository, id), 4);
    await clock.advance(2 * hour);
    await registry.uploads.sweep();
    await registry.uploads.sweep();
    await assert.rejects(
      registry.uploads.size(repository, id),
      (error) => error instanceof RegistryError && error.kind === "UploadUnknown",
    );
    for await (const { id: left } of registry.blobs.uploads()) assert.fail(`${left} is left`);
  }));

test("an upload that has just begun is nobody's to remove, also where the clock is days ahead of the files'", () =>
  withWorld(3, async ({ registry, clock }) => {
    const repository = await registry.repositories.get(where, "one");
    await clock.advance(72 * hour);
    for (let round = 0; round < 20; round++) {
      const bytes = Buffer.from(`layer ${round}`);
      const begun = registry.uploads.begin(repository);
      const sweeping = (async () => {
        for (let times = 0; times < 10; times++) await registry.uploads.sweep();
      })();
      await registry.uploads.use(repository, await begun, async (pending) => {
        await pending.append(from(bytes));
        await pending.commit(digestOf(bytes));
        registry.uploads.forget(pending.id);
      });
      await sweeping;
    }
  }));
