import { CaptureError, CLIENT_ARTIFACTS_MAX, LimitError } from "@heddle/kernel";
import type { AnyFunction, ShippedFunction } from "@heddle/port-shipper";
import { JobOutcome } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { OfferedArtifacts } from "./artifacts.ts";
import { IDLE_ARTIFACTS_MAX } from "./limits.ts";
import { FakeCoordinator, settle } from "./testing.ts";

interface Shipping {
  readonly fake: FakeCoordinator;
  /** Functions that were shipped, in order. */
  readonly shipped: AnyFunction[];
}

/** Every function has one code and captures of its own; `refuse` says why one is refused. */
function shipping(refuse: (fn: AnyFunction) => Error | undefined = () => undefined): Shipping {
  const fake = new FakeCoordinator();
  onTestFinished(() => fake[Symbol.asyncDispose]());
  const shipped: AnyFunction[] = [];
  fake.shipper.ship = async (fn): Promise<ShippedFunction> => {
    const error = refuse(fn);
    if (error !== undefined) throw error;
    shipped.push(fn);
    return {
      artifact: artifact(0),
      exportName: "default",
      displayName: fn.name,
      captured: artifact(shipped.length),
    };
  };
  return { fake, shipped };
}

function artifact(number: number): { readonly hash: string; readonly bytes: Uint8Array } {
  return { hash: number.toString(16).padStart(64, "0"), bytes: new Uint8Array(1) };
}

const identity = (value: unknown): unknown => value;

test("a function in many inputs is shipped once for each call, and its artifacts are offered before the chunk", async () => {
  const { fake, shipped } = shipping();
  const fn = (): number => 1;
  void fake.fabric.pool().mapAsync(identity, [fn, { fn }, new Map([["fn", [fn]]])], { chunkSize: 1 });
  await settle();
  expect(shipped).toEqual([identity, fn]);
  const kinds = fake.entries.map(({ kind }) => kind?.$case).filter((kind) => /^offer|^seal/.test(kind ?? ""));
  const [code, captured, ofArgument, ...rest] = kinds;
  expect([code, captured, ofArgument]).toEqual(["offerArtifact", "offerArtifact", "offerArtifact"]);
  expect(rest).toEqual(["offerChunk", "offerChunk", "offerChunk", "sealJob"]);
});

test("all functions of a chunk are met in one reading of it", async () => {
  const { fake, shipped } = shipping();
  let readings = 0;
  const fns = Array.from({ length: 50 }, (_, index) => () => index);
  const marker = {
    get read() {
      readings++;
      return 0;
    },
  };
  void fake.fabric.pool().applyAsync(identity, [[marker, ...fns]]);
  await settle();
  expect(shipped).toEqual([identity, ...fns]);
  expect(fake.said("sealJob")).toHaveLength(1);
  expect(readings).toBe(2);
});

test("a function that cannot be captured fails its call alone, and the error names the input", async () => {
  const at = { variable: "socket", path: "$.a", file: "tasks.ts", line: 3 };
  const bad = (): number => 2;
  const { fake } = shipping((fn) => (fn === bad ? new CaptureError("bad uses socket", at) : undefined));
  const pool = fake.fabric.pool();
  const error: unknown = await pool.map(identity, [1, 2, { bad }, 3], { chunkSize: 4 }).catch((caught) => caught);
  expect(error).toBeInstanceOf(CaptureError);
  expect(error).toMatchObject({ message: "input 2: bad uses socket", ...at, cause: { message: "bad uses socket" } });
  const next = pool.mapAsync(identity, [4]);
  await settle();
  expect(fake.said("cancelJob")).toHaveLength(1);
  const [, job = { job: 0 }] = fake.said("openJob");
  expect(fake.said("sealJob").map((sealed) => sealed.job)).toEqual([job.job]);
  void next.cancel();
  await settle();
  expect(fake.holds).toBe(0);
});

test("a function below an error that cannot be captured leaves words: errors always travel", async () => {
  const { fake } = shipping((fn) => (fn === bad ? new Error("no way") : undefined));
  const bad = (): number => 2;
  void fake.fabric.pool().mapAsync(identity, [Object.assign(new Error("mine"), { bad })], { chunkSize: 1 });
  await settle();
  const [offer] = fake.said("offerChunk");
  expect(new TextDecoder().decode(offer?.input?.data)).toContain("cannot travel: no way");
});

test("functions that need more artifacts than a client may offer fail their call, and the session lives on", async () => {
  const { fake } = shipping();
  const pool = fake.fabric.pool();
  const fns = Array.from({ length: CLIENT_ARTIFACTS_MAX }, (_, index) => () => index);
  const error: unknown = await pool.apply(identity, [fns]).catch((caught) => caught);
  expect(error).toBeInstanceOf(LimitError);
  expect(error).toMatchObject({ limitName: "CLIENT_ARTIFACTS_MAX", message: expect.stringMatching(/^input 0: /) });
  const next = pool.mapAsync(identity, [4], { chunkSize: 1 });
  await settle();
  expect(fake.sessions).toHaveLength(1);
  expect(fake.said("sealJob")).toHaveLength(1);
  void next.cancel();
});

test("a job waits while the functions of others leave no room for its own", async () => {
  const { fake } = shipping();
  const pool = fake.fabric.pool();
  const fns = Array.from({ length: CLIENT_ARTIFACTS_MAX - 2 }, (_, index) => () => index);
  const large = pool.applyAsync(identity, [fns]);
  while (fake.said("sealJob").length === 0) await settle();
  const small = pool.mapAsync(identity, [1], { chunkSize: 1 });
  await settle();
  expect(fake.said("openJob")).toHaveLength(1);
  fake.tell({ $case: "jobEnded", value: { job: 1, outcome: JobOutcome.CANCELLED, error: undefined } });
  await large.wait();
  await settle();
  expect(fake.said("openJob")).toHaveLength(2);
  void small.cancel();
});

test("any number of different functions, one after the other, keeps a bounded number of artifacts offered", () => {
  const offered = new Set<string>();
  const artifacts = new OfferedArtifacts(({ kind }) => {
    if (kind?.$case === "offerArtifact") offered.add(kind.value.hash);
    if (kind?.$case === "withdrawArtifact") offered.delete(kind.value.hash);
  });
  const kept = artifact(0);
  artifacts.use(kept);
  for (let number = 1; number <= 2 * CLIENT_ARTIFACTS_MAX; number++) {
    artifacts.use(artifact(number));
    artifacts.release(artifact(number));
  }
  expect(offered.size).toBe(1 + IDLE_ARTIFACTS_MAX);
  expect(offered).toContain(kept.hash);
});

test("an initializer whose arguments need more artifacts than a client may offer fails the calls, and others live", async () => {
  const { fake } = shipping();
  const initArgs = Array.from({ length: CLIENT_ARTIFACTS_MAX }, (_, index) => () => index);
  const pool = fake.fabric.pool({ initializer: () => undefined, initArgs });
  await expect(pool.map(identity, [1])).rejects.toMatchObject({ limitName: "CLIENT_ARTIFACTS_MAX" });
  fake.serve((item) => item);
  expect(await fake.fabric.pool().map(identity, [1])).toEqual([1]);
});

test("an item that failed while functions among the inputs are shipped ends the offers of its job", async () => {
  const { fake } = shipping();
  const gate = Promise.withResolvers<void>();
  const { ship } = fake.shipper;
  const fn = (): number => 1;
  fake.shipper.ship = async (one) => {
    if (one === fn) await gate.promise;
    return await ship.call(fake.shipper, one);
  };
  const result = fake.fabric.pool().mapAsync(identity, [0, fn], { chunkSize: 1 });
  await settle();
  fake.fail(1, 0, 0, new RangeError("no 0"));
  await settle();
  gate.resolve();
  await settle();
  expect(fake.said("offerChunk")).toHaveLength(1);
  fake.end(1, JobOutcome.FAILED);
  await expect(result.get()).rejects.toThrow("no 0");
});
