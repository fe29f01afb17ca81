import { CAPTURED_INLINE_BYTES_MAX, ProtocolError, SerializationError } from "@heddle/kernel";
import type { AnyFunction, FunctionLoader, FunctionMaker } from "@heddle/port-shipper";
import { type ArtifactPlace, decodeValue, type PrepareJob, type ValueReaderHooks } from "@heddle/wire";
import { ARGUMENT_FUNCTIONS_MAX } from "./limits.ts";
import { MissingPart } from "./missing.ts";
import type { SharedObjects } from "./shared-objects.ts";

/** What stands for a function among arguments: which export of which code, and what it captures. */
interface Description {
  readonly artifact: string;
  readonly exportName: string;
  readonly captured: Uint8Array | undefined;
  readonly capturedArtifact: string;
}

/** A function that was shipped, and where this machine keeps it: a job's own, the one that folds its results, its pool's initializer. */
export type PlacedFunction = NonNullable<PrepareJob["combine"]>;

/** Makes functions of what was shipped: those of jobs, and those among arguments. */
export class Functions {
  readonly #loader: FunctionLoader;
  readonly #want: (hash: string) => void;
  readonly #shared: Pick<SharedObjects, "revive" | "load">;
  /** Functions among arguments by what describes them, the one used longest ago first. Size <= ARGUMENT_FUNCTIONS_MAX between items. */
  readonly #made = new Map<string, AnyFunction>();
  /** Where artifacts of such functions were, by hash, the one told longest ago first. Size <= ARGUMENT_FUNCTIONS_MAX. */
  readonly #places = new Map<string, string>();
  /** The makers of closures. */
  readonly #origins = new WeakMap<AnyFunction, object>();
  /** Those that wait for the agent's answer, by hash. */
  readonly #waiters = new Map<string, ((place: ArtifactPlace) => void)[]>();

  /** `want`: asks the agent where an artifact is; it answers by `placed`. `shared`: makes handles of shared objects. */
  constructor(loader: FunctionLoader, want: (hash: string) => void, shared: Pick<SharedObjects, "revive" | "load">) {
    this.#loader = loader;
    this.#want = want;
    this.#shared = shared;
  }

  /** Loads a function. Rejects with ProtocolError, or with what the code itself throws. */
  async load(placed: PlacedFunction): Promise<AnyFunction> {
    const { location, artifact, exportName, closure, captured, capturedArtifact, capturedLocation } = placed;
    const exported = await this.#atPlace(location, artifact, (at) => this.#loader.load(at, artifact, exportName));
    if (!closure) return exported;
    const values = capturedArtifact === "" ? captured : await this.read(capturedLocation, capturedArtifact);
    const fn = await this.#bound(exported, values);
    this.#origins.set(fn, exported);
    return fn;
  }

  /** What is the same for all functions that were made of the same text. */
  originOf(fn: AnyFunction): object {
    return this.#origins.get(fn) ?? fn;
  }

  /** Reads an artifact that is no code. Rejects with ProtocolError. */
  read(location: string, hash: string): Promise<Uint8Array> {
    return this.#atPlace(location, hash, (at) => this.#loader.read(at, hash));
  }

  /** For reading arguments. `reviveFunction` throws MissingPart. */
  readonly hooks: ValueReaderHooks = {
    reviveFunction: (value) => {
      const known = this.#known(keyOf(descriptionOf(value)));
      if (known === undefined) throw new MissingPart();
      return known;
    },
    reviveShared: (description) => this.#shared.revive(description),
  };

  /**
   * Gets the functions and handles that a value needs and that are not here; `read` reads the value with the hooks that it is given. They stay until
   * `forget`, so that the value can then be read, however many they are. Rejects with ProtocolError, or with what the code itself throws.
   */
  async fetch(read: (hooks: ValueReaderHooks) => void): Promise<void> {
    const missing = new Map<string, Description>();
    let hasShared = false;
    read({
      reviveFunction: (value) => {
        const description = descriptionOf(value);
        const key = keyOf(description);
        const known = this.#known(key);
        if (known === undefined) missing.set(key, description);
        return known ?? standIn;
      },
      reviveShared: () => {
        hasShared = true;
        return {};
      },
    });
    if (hasShared) await this.#shared.load();
    for (const [key, description] of missing) this.#made.set(key, await this.#make(description));
  }

  /** The value was read: functions beyond the bound go. */
  forget(): void {
    shorten(this.#made);
  }

  /** The agent's answer. */
  placed(place: ArtifactPlace): void {
    const waiters = this.#waiters.get(place.hash) ?? [];
    this.#waiters.delete(place.hash);
    for (const waiter of waiters) waiter(place);
  }

  /** The job may be older than the file: what is not whole where it was is asked for once more, and the agent fetches it again. */
  async #atPlace<T>(location: string, hash: string, load: (location: string) => Promise<T>): Promise<T> {
    try {
      return await load(location);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return load(await this.#locate(hash));
    }
  }

  async #make({ artifact, exportName, captured, capturedArtifact }: Description): Promise<AnyFunction> {
    const exported = await this.#anywhere(artifact, (at) => this.#loader.load(at, artifact, exportName));
    if (capturedArtifact !== "")
      return this.#bound(
        exported,
        await this.#anywhere(capturedArtifact, (at) => this.#loader.read(at, capturedArtifact)),
      );
    return captured === undefined ? exported : this.#bound(exported, captured);
  }

  /** The function of a maker, with its captured values. */
  async #bound(maker: unknown, captured: Uint8Array): Promise<AnyFunction> {
    const { revive } = this.#shared;
    try {
      return made(maker, captured, revive);
    } catch (error) {
      if (!(error instanceof MissingPart)) throw error;
      await this.#shared.load(); // there is a handle of a shared object among them
      return made(maker, captured, revive);
    }
  }

  /** One that was found now was used now. */
  #known(key: string): AnyFunction | undefined {
    const known = this.#made.get(key);
    if (known === undefined) return undefined;
    this.#made.delete(key);
    this.#made.set(key, known);
    return known;
  }

  /** The agent is asked once for an artifact, not once for each function in it. */
  async #anywhere<T>(hash: string, load: (location: string) => Promise<T>): Promise<T> {
    const known = this.#places.get(hash);
    if (known !== undefined) return this.#atPlace(known, hash, load);
    return load(await this.#locate(hash));
  }

  async #locate(hash: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<ArtifactPlace>();
    const waiters = this.#waiters.get(hash) ?? [];
    this.#waiters.set(hash, [...waiters, resolve]);
    if (waiters.length === 0) this.#want(hash);
    const { location, missing } = await promise;
    if (location === "") throw new ProtocolError(`code or captured values cannot be had: ${missing}`);
    this.#places.delete(hash);
    this.#places.set(hash, location);
    shorten(this.#places);
    return location;
  }
}

type Revive = SharedObjects["revive"];

function made(maker: unknown, captured: Uint8Array, revive: Revive): AnyFunction {
  return (maker as FunctionMaker)((functions) => {
    const values = capturedValues(captured, functions, revive);
    if (!Array.isArray(values)) throw new ProtocolError("captured values are no array");
    return values;
  });
}

/** `functions`: those of the maker, which captured values name by index. */
function capturedValues(captured: Uint8Array, functions: readonly AnyFunction[], reviveShared: Revive): unknown {
  const reviveFunction = (index: unknown): AnyFunction => {
    const fn = typeof index === "number" ? functions[index] : undefined;
    if (fn === undefined) throw new ProtocolError(`captured values name function ${String(index)}, which there is not`);
    return fn;
  };
  try {
    return decodeValue(captured, "value", { reviveFunction, reviveShared });
  } catch (cause) {
    if (!(cause instanceof SerializationError)) throw cause;
    throw new ProtocolError(`captured values are broken: ${cause.message}`, { cause });
  }
}

/** In the place of functions while a value is read for what it needs. */
function standIn(): void {}

function shorten(map: Map<string, unknown>): void {
  for (const oldest of map.keys()) {
    if (map.size <= ARGUMENT_FUNCTIONS_MAX) return;
    map.delete(oldest);
  }
}

/** Whatever came in the place of a function, checked. */
function descriptionOf(value: unknown): Description {
  const given = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  const { artifact, exportName, captured, capturedArtifact = "" } = given;
  const isGood =
    typeof artifact === "string" &&
    typeof exportName === "string" &&
    typeof capturedArtifact === "string" &&
    (captured === undefined || (captured instanceof Uint8Array && captured.length <= CAPTURED_INLINE_BYTES_MAX));
  if (!isGood) throw new SerializationError("a function is described wrongly", { path: "$", side: "argument" });
  return { artifact, exportName, captured, capturedArtifact };
}

function keyOf({ artifact, exportName, captured, capturedArtifact }: Description): string {
  const values = captured === undefined ? "" : latin1.decode(captured);
  return `${artifact} ${capturedArtifact} ${exportName.length} ${exportName} ${values}`;
}

/** A character for each byte, no two bytes the same. */
const latin1 = new TextDecoder("latin1");
