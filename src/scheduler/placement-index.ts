import { Board, type Entry } from "./board.ts";
import { obstacle } from "./filter.ts";
import { shapeOf } from "./shape.ts";
import { take, type Trial, trialOf } from "./trial.ts";
import type { Node, Placement, PlacementRequest, Rejection } from "./types.ts";

/**
 * The nodes of a cluster, kept for being asked again and again. It answers exactly as `place(nodes(), request, random)`, at a cost that
 * grows with what changed since the last request of the same shape, not with the nodes. Placing changes nothing here: the caller
 * commits, then upserts what the nodes have become.
 */
export interface PlacementIndex {
  /** A known id keeps its place in the order of the nodes; a new one goes last. */
  upsert(node: Node): void;
  remove(id: string): void;
  node(id: string): Node | undefined;
  /** In their order. */
  nodes(): readonly Node[];
  /** `random`: numbers in [0, 1), one for each task and only by the strategy of that name. Rejections cost by the number of nodes. */
  place(request: PlacementRequest, random: () => number): Placement;
  /** What keeps one more such task off each of the nodes that cannot take it. */
  explain(request: PlacementRequest): Rejection[];
}

interface Limits {
  /** Shapes that are remembered; the one that was not asked for longest is forgotten first, and costs one look at every node to learn again. */
  readonly shapes: number;
  /** Shapes times nodes: what bounds the memory of a large cluster, at some 80 bytes each. */
  readonly seats: number;
}

const defaults: Limits = { shapes: 256, seats: 2_000_000 };

export function createPlacementIndex(limits: Limits = defaults): PlacementIndex {
  return new Index(limits);
}

/** In a list by the last change, so that whoever was away sees each node once, however often it changed. */
interface Changing extends Entry {
  changed: number;
  newer: Changing | undefined;
  older: Changing | undefined;
}

interface Known {
  readonly board: Board;
  /** The last change that it has seen. */
  seen: number;
  /** Nodes that show tasks which were only tried. */
  readonly tried: Set<Changing>;
}

class Index implements PlacementIndex {
  readonly #limits: Limits;
  readonly #entries = new Map<string, Changing>();
  /** By slot; what lies in a free slot is of no meaning. */
  readonly #slots: Changing[] = [];
  readonly #free: number[] = [];
  /** The one asked for last is last. */
  readonly #boards = new Map<string, Known>();
  #newest: Changing | undefined;
  #changes = 0;
  #order = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  upsert(node: Node): void {
    let entry = this.#entries.get(node.id);
    if (entry) {
      this.#unlink(entry);
      entry.node = node;
    } else {
      const slot = this.#free.pop() ?? this.#slots.length;
      entry = { node, order: this.#order++, slot, changed: 0, newer: undefined, older: undefined };
      this.#slots[slot] = entry;
      this.#entries.set(node.id, entry);
    }
    entry.changed = ++this.#changes;
    entry.older = this.#newest;
    if (this.#newest) this.#newest.newer = entry;
    this.#newest = entry;
  }

  remove(id: string): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#entries.delete(id);
    this.#free.push(entry.slot);
    this.#unlink(entry);
    for (const { board, tried } of this.#boards.values()) {
      board.drop(entry);
      tried.delete(entry);
    }
  }

  node(id: string): Node | undefined {
    return this.#entries.get(id)?.node;
  }

  nodes(): readonly Node[] {
    return [...this.#entries.values()].map(({ node }) => node);
  }

  place(request: PlacementRequest, random: () => number): Placement {
    const { board, tried } = this.#boardFor(request);
    const assignments: string[] = [];
    const trials = new Map<Entry, Trial>();
    while (assignments.length < request.count) {
      const slot = board.best(random);
      if (slot === undefined) return { assignments, rejections: this.#rejections(request, trials) };
      const entry = this.#slots[slot]!;
      assignments.push(entry.node.id);
      if (assignments.length === request.count) break;
      const trial = trials.get(entry) ?? trialOf(entry.node, entry.order, request.group);
      trials.set(entry, trial);
      take(trial, request.resources);
      tried.add(entry);
      board.seat(entry, trial);
    }
    return { assignments, rejections: [] };
  }

  explain(request: PlacementRequest): Rejection[] {
    return this.#rejections(request, new Map());
  }

  #rejections(request: PlacementRequest, trials: ReadonlyMap<Entry, Trial>): Rejection[] {
    return [...this.#entries.values()]
      .map((entry) => obstacle(trials.get(entry) ?? trialOf(entry.node, entry.order, request.group), request))
      .filter((rejection) => rejection !== undefined);
  }

  /** The board of the request's shape, with all that changed since it was last looked at. */
  #boardFor(request: PlacementRequest): Known {
    const shape = shapeOf(request);
    const known = this.#boards.get(shape) ?? { board: new Board(request), seen: 0, tried: new Set<Changing>() };
    this.#boards.delete(shape);
    this.#forget();
    this.#boards.set(shape, known);
    known.board.reserve(this.#slots.length);
    for (const entry of known.tried) if (entry.changed <= known.seen) known.board.seat(entry);
    known.tried.clear();
    for (let entry = this.#newest; entry && entry.changed > known.seen; entry = entry.older) known.board.seat(entry);
    known.seen = this.#changes;
    return known;
  }

  /** Makes room for one board more. */
  #forget(): void {
    const most = Math.min(this.#limits.shapes, Math.max(1, Math.floor(this.#limits.seats / Math.max(1, this.#entries.size))));
    for (const shape of this.#boards.keys()) {
      if (this.#boards.size < most) return;
      this.#boards.delete(shape);
    }
  }

  #unlink(entry: Changing): void {
    if (entry.newer) entry.newer.older = entry.older;
    else this.#newest = entry.older;
    if (entry.older) entry.older.newer = entry.newer;
    entry.newer = undefined;
    entry.older = undefined;
  }
}
