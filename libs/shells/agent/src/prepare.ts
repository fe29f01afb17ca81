import { assert } from "@heddle/kernel";
import type { DescribeJob, PrepareJob, RunProcess, StartProcess } from "@heddle/wire";
import type { JobRecord } from "./records.ts";

/** A function as it was shipped. */
type FunctionRef = NonNullable<DescribeJob["function"]>;
type PlacedFunction = NonNullable<PrepareJob["combine"]>;
type PlacedInitializer = NonNullable<PrepareJob["initializer"]>;

const NO_FUNCTION: FunctionRef = {
  artifact: "",
  exportName: "",
  displayName: "",
  closure: false,
  captured: new Uint8Array(0),
  capturedArtifact: "",
};

/** Everything that must be on this machine before a chunk of the job can run: code, captured values, arguments of the initializer. */
export function artifactsOf({
  function: fn,
  combine,
  initializer,
}: Pick<DescribeJob, "function" | "combine" | "initializer">): ReadonlySet<string> {
  const hashes = new Set([initializer?.argsArtifact ?? ""]);
  for (const ref of [fn, combine, initializer?.function]) {
    if (ref === undefined) continue;
    hashes.add(ref.artifact).add(ref.capturedArtifact);
  }
  hashes.delete("");
  return hashes;
}

/** What a worker is told before the job's first chunk. `joined`: it has run the pool's initializer. */
export function prepareOf({ number, description, places }: JobRecord, node: string, joined: boolean): PrepareJob {
  assert(places !== undefined, "chunks run once their code is here");
  const { jobId, spread, combine, initializer, concurrency, seedLow, seedHigh, prime, effectsOnce } = description;
  return {
    ...placed(description.function ?? NO_FUNCTION, places),
    job: number,
    jobId,
    spread,
    node,
    combine: combine && placed(combine, places),
    initializer: joined ? undefined : initializer && placedInitializer(initializer, places),
    concurrency,
    seedLow,
    seedHigh,
    watched: description.itemTimeoutMs > 0,
    prime,
    weighed: description.rssBytesPerWorker > 0,
    effectsOnce,
  };
}

/** What the worker of a process is told, first of all. */
export function runProcessOf(start: StartProcess, node: string, places: ReadonlyMap<string, string>): RunProcess {
  const { target, name, path, daemon, parent } = start;
  return { target: target && placedInitializer(target, places), name, path, daemon, node, parent };
}

function placed(ref: FunctionRef, places: ReadonlyMap<string, string>): PlacedFunction {
  const { artifact, exportName, closure, captured, capturedArtifact } = ref;
  const location = places.get(artifact) ?? "";
  const capturedLocation = places.get(capturedArtifact) ?? "";
  return { location, artifact, exportName, closure, captured, capturedArtifact, capturedLocation };
}

function placedInitializer(
  { function: fn, args, argsArtifact }: NonNullable<DescribeJob["initializer"]>,
  places: ReadonlyMap<string, string>,
): PlacedInitializer {
  return { function: fn && placed(fn, places), args, argsArtifact, argsLocation: places.get(argsArtifact) ?? "" };
}
