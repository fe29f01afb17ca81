import { systemEnvironment } from "@heddle/adapter-system";
import { type ObjectsFabric, type ObjectsHome, type Waitable, type WaitOptions, waitFor } from "@heddle/client";
import type { Shared } from "@heddle/wire";
import type { Fabric } from "heddle";
import { ObjectsWorld, received } from "./objects-world.ts";
import { settles } from "./waiting.ts";

/**
 * Two clients of one manager, each with a session of its own, and time: the same tests run in a world of their own, on
 * an embedded fabric and on a served one.
 */
export interface ObjectsPlace extends AsyncDisposable {
  /** For the constructors of shared objects. */
  readonly ours: ObjectsFabric;
  readonly theirs: ObjectsFabric;
  /** A handle of ours, as they receive it. */
  receive<T extends Shared>(handle: T): Promise<T>;
  /**
   * Resolves when everything that was asked so far has been heard by the manager, and what that let go on has been
   * asked too.
   */
  arrived(): Promise<void>;
  /** Lets so much time pass, at least. */
  pass(ms: number): Promise<void>;
  /** Settles as the promise does, time passing meanwhile. */
  ends<T>(promise: Promise<T>): Promise<T>;
  nowMs(): number;
  wait<T extends Waitable>(objects: Iterable<T>, options?: WaitOptions): Promise<T[]>;
  /** Their session ends, as when they die. The next test has another one. */
  leave(): Promise<void>;
}

/** Once for all tests of a file: opens a place for each of them. */
export interface ObjectsPlaces extends AsyncDisposable {
  open(): Promise<ObjectsPlace>;
}

/** Time is the test's, and each place a manager of its own. */
export class WorldPlaces implements ObjectsPlaces {
  async open(): Promise<ObjectsPlace> {
    const world = await ObjectsWorld.open();
    return new WorldPlace(world, (await world.client("ours")).fabric, (await world.client("theirs")).fabric);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** On the manager of a fabric, in real time. */
export class FabricPlaces implements ObjectsPlaces {
  readonly #fabric: Fabric;
  readonly #ours: ObjectsHome;
  #theirs: ObjectsHome | undefined;

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
    this.#ours = fabric.openObjects({});
  }

  async open(): Promise<ObjectsPlace> {
    this.#theirs ??= this.#fabric.openObjects({});
    return new FabricPlace(this.#fabric, this.#ours, this.#theirs, async () => {
      const leaving = this.#theirs;
      this.#theirs = undefined;
      await leaving?.close();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#ours.close(), this.#theirs?.close()]);
  }
}

class WorldPlace implements ObjectsPlace {
  readonly ours: ObjectsFabric;
  readonly theirs: ObjectsFabric;
  readonly #world: ObjectsWorld;

  constructor(world: ObjectsWorld, ours: ObjectsFabric, theirs: ObjectsFabric) {
    this.#world = world;
    this.ours = ours;
    this.theirs = theirs;
  }

  receive<T extends Shared>(handle: T): Promise<T> {
    return received(this.theirs.home, handle);
  }

  arrived(): Promise<void> {
    return this.#world.settle();
  }

  pass(ms: number): Promise<void> {
    return this.#world.clock.advance(ms);
  }

  async ends<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settled = (): void => {
      isSettled = true;
    };
    promise.then(settled, settled);
    await this.#world.settle();
    for (let passed = 0; !isSettled && passed < 60_000; passed += 10) await this.pass(10);
    return await promise;
  }

  nowMs(): number {
    return this.#world.clock.nowMs();
  }

  wait<T extends Waitable>(objects: Iterable<T>, options?: WaitOptions): Promise<T[]> {
    return waitFor({ env: this.#world.env, hold: keepNothing }, objects, options);
  }

  async leave(): Promise<void> {
    await this.theirs.home.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#world[Symbol.asyncDispose]();
  }
}

class FabricPlace implements ObjectsPlace {
  readonly ours: ObjectsFabric;
  readonly theirs: ObjectsFabric;
  readonly #leave: () => Promise<void>;
  readonly #env = systemEnvironment();

  constructor(fabric: Fabric, ours: ObjectsHome, theirs: ObjectsHome, leave: () => Promise<void>) {
    const openObjects: ObjectsFabric["openObjects"] = (options) => fabric.openObjects(options);
    this.ours = { home: ours, openObjects };
    this.theirs = { home: theirs, openObjects };
    this.#leave = leave;
  }

  receive<T extends Shared>(handle: T): Promise<T> {
    return received(this.theirs.home, handle);
  }

  async arrived(): Promise<void> {
    for (let round = 0; round < ROUNDS; round++)
      await Promise.all([this.ours, this.theirs].map(({ home }) => home.call(NOTHING, ignore).catch(ignore)));
  }

  async pass(ms: number): Promise<void> {
    const untilMs = performance.now() + ms;
    while (performance.now() < untilMs)
      await new Promise((resolve) => setTimeout(resolve, untilMs - performance.now()));
  }

  ends<T>(promise: Promise<T>): Promise<T> {
    return settles(promise, () => "a wait that was to end by itself");
  }

  nowMs(): number {
    return this.#env.clock.nowMs();
  }

  wait<T extends Waitable>(objects: Iterable<T>, options?: WaitOptions): Promise<T[]> {
    return waitFor({ env: this.#env, hold: keepNothing }, objects, options);
  }

  leave(): Promise<void> {
    return this.#leave();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A reply may make its client ask something, which may make the other one do so. */
const ROUNDS = 4;
/** An operation that asks something of no object. */
const NOTHING = { verb: "lock-state", object: "0".repeat(32) } as const;
const ignore = (): void => undefined;
const keepNothing = (): Disposable => ({ [Symbol.dispose]: () => undefined });
