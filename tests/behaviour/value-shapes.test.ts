import { equalValues } from "@heddle/values";
import { type Fabric, SerializationError } from "heddle";
import { describe, expect, test } from "vitest";
import { EmbeddedCluster } from "../harness/embedded-cluster.ts";
import { ProcessCluster } from "../harness/process-cluster.ts";
import type { RealCluster } from "../harness/real-cluster.ts";
import { type ValueShape, valueShapes } from "./shapes/value-shapes.ts";

const clusters: readonly (readonly [name: string, start: () => Promise<RealCluster>])[] = [
  ["an embedded fabric", () => Promise.resolve(new EmbeddedCluster())],
  ["two agents over gRPC", () => ProcessCluster.start()],
];

test("there are more than sixty value shapes", () => {
  expect(new Set(valueShapes.map(({ name }) => name)).size).toBeGreaterThan(60);
});

/** Names of the shapes that did not arrive as they should. */
function faults(results: readonly unknown[]): string[] {
  const isWrong = ({ make, arrives }: ValueShape, at: number): boolean =>
    !equalValues(results[at], (arrives ?? make)());
  return valueShapes.filter(isWrong).map(({ name }) => name);
}

describe.each(clusters)("every value shape, on %s,", (_name, start) => {
  test("travels there as an argument and back as a result, among others and alone", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool();
    const values = valueShapes.map(({ make }) => make());
    expect(faults(await cluster.drive(pool.map((value) => value, values, { chunkSize: 5 })))).toEqual([]);
    expect(faults(await cluster.drive(pool.map((value) => value, values, { chunkSize: 1 })))).toEqual([]);
  });

  test("travels captured", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool();
    expect(faults(await cluster.drive(Promise.all(valueShapes.map((shape) => capturedBy(pool, shape)))))).toEqual([]);
  });

  test("keeps its identity where it is met twice", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool();
    const one: { n: number; self?: unknown } = { n: 1 };
    one.self = one;
    const isSame = (a: typeof one, b: typeof one): readonly boolean[] => [a === b, a.self === a];
    expect(await cluster.drive(pool.apply(isSame, [one, one]))).toEqual([true, true]);
  });

  test("but functions, symbols, promises and what has methods cannot be results: SerializationError with the path", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool();
    const refused: readonly (readonly [make: () => unknown, path: string])[] = [
      [() => () => 1, "$"],
      [() => ({ rows: [1, new Map([["f", () => 1]])] }), '$.rows[1].get("f")'],
      [() => Symbol("s"), "$"],
      [() => [Promise.resolve()].concat(), "$[0]"],
      [() => ({ at: new URL("file:///a") }), "$.at"],
      [() => ({ cache: new WeakMap() }), "$.cache"],
    ];
    for (const [make, path] of refused) {
      const error: unknown = await cluster.drive(pool.map(make, [0]).catch((caught: unknown) => caught));
      expect(error).toBeInstanceOf(SerializationError);
      expect(error).toMatchObject({ path, side: "result", message: expect.stringContaining("item 0: ") });
    }
  });
});

function capturedBy(pool: ReturnType<Fabric["pool"]>, { make }: ValueShape): Promise<unknown> {
  const value = make();
  return pool.apply(() => value);
}
