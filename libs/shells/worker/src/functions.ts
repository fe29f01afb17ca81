import { ProtocolError, SerializationError } from "@heddle/kernel";
import type { AnyFunction, FunctionLoader, FunctionMaker } from "@heddle/port-shipper";
import { type ArtifactPlace, decodeValue, type PrepareJob, type ValueReaderHooks } from "@heddle/wire";
import { ARGUMENT_FUNCTIONS_MAX } from "./limits.ts";

/** What stands for a function among arguments: which export of which code, and what it captures. */
interface Description {
  readonly artifact: string;
  readonly exportName: string;
  readonly captured: Uint8Array | undefined;
  readonly capturedArtifact: string;
}

/** Thrown where a function was met among arguments that is not here yet: `Functions.fetch` it and read again. */
export class MissingFunction {
  readonly description: Description;

  constructor(description: Description) {
    this.description = description;
  }
}

/** Makes functions of what was shipped: those of jobs, and those among arguments. */
export class Functions {
  readonly #loader: FunctionLoader;
  readonly #want: (hash: string) => void;
  /** Functions among arguments by what describes them, the one used longest ago first. Size <= ARGUMENT_FUNCTIONS_MAX. */
  readonly #made = new Map<string, AnyFunction>();
  /** Those that wait for the agent's answer, by hash. */
  readonly #waiters = new Map<string, ((place: ArtifactPlace) => void)[]>();

  /** `want`: asks the agent where an artifact is; it answers by `placed`. */
  constructor(loader: FunctionLoader, want: (hash: string) => void) {
    this.#loader = loader;
    this.#want = want;
  }

  /** The function of a job. Rejects with ProtocolError, or with what the code itself throws. */
  async ofJob(prepare: PrepareJob): Promise<AnyFunction> {
    const { location, artifact, exportName, closure, captured, capturedArtifact, capturedLocation } = prepare;
    const exported = await this.#atPlace(location, artifact, (at) => this.#loader.load(at, artifact, exportName));
    if (!closure) return exported;
    const values =
      capturedArtifact === ""
        ? captured
        : await this.#atPlace(capturedLocation, capturedArtifact, (at) => this.#loader.read(at, capturedArtifact));
    return made(exported, values);
  }

  /** For reading arguments. `reviveFunction` throws MissingFunction. */
  readonly hooks: ValueReaderHooks = {
    reviveFunction: (value) => {
      const description = descriptionOf(value);
      const key = keyOf(description);
      const known = this.#made.get(key);
      if (known === undefined) throw new MissingFunction(description);
      return known;
    },
  };

  /** Gets a function that was missing. Rejects with ProtocolError, or with what the code itself throws. */
  async fetch({ description }: MissingFunction): Promise<void> {
    const { artifact, exportName, captured, capturedArtifact } = description;
    const exported = await this.#loader.load(await this.#locate(artifact), artifact, exportName);
    const values =
      capturedArtifact === ""
        ? captured
        : await this.#loader.read(await this.#locate(capturedArtifact), capturedArtifact);
    this.#made.set(keyOf(description), values === undefined ? exported : made(exported, values));
    for (const oldest of this.#made.keys()) {
      if (this.#made.size <= ARGUMENT_FUNCTIONS_MAX) break;
      this.#made.delete(oldest);
    }
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

  async #locate(hash: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<ArtifactPlace>();
    const waiters = this.#waiters.get(hash) ?? [];
    this.#waiters.set(hash, [...waiters, resolve]);
    if (waiters.length === 0) this.#want(hash);
    const { location, missing } = await promise;
    if (location === "") throw new ProtocolError(`code or captured values cannot be had: ${missing}`);
    return location;
  }
}

function made(maker: unknown, captured: Uint8Array): AnyFunction {
  return (maker as FunctionMaker)((functions) => {
    const reviveFunction = (index: unknown): AnyFunction => {
      const fn = typeof index === "number" ? functions[index] : undefined;
      if (fn === undefined)
        throw new ProtocolError(`captured values name function ${String(index)}, which there is not`);
      return fn;
    };
    const values = decodeValue(captured, "value", { reviveFunction });
    if (!Array.isArray(values)) throw new ProtocolError("captured values are no array");
    return values;
  });
}

/** Whatever came in the place of a function, checked. */
function descriptionOf(value: unknown): Description {
  const given = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  const { artifact, exportName, captured, capturedArtifact = "" } = given;
  const isGood =
    typeof artifact === "string" &&
    typeof exportName === "string" &&
    typeof capturedArtifact === "string" &&
    (captured === undefined || captured instanceof Uint8Array);
  if (!isGood) throw new SerializationError("a function is described wrongly", { path: "$", side: "argument" });
  return { artifact, exportName, captured, capturedArtifact };
}

function keyOf({ artifact, exportName, captured, capturedArtifact }: Description): string {
  const values = captured === undefined ? "" : captured.join();
  return `${artifact} ${capturedArtifact} ${values} ${exportName}`;
}
