import { CaptureError } from "heddle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EmbeddedCluster } from "../harness/embedded-cluster.ts";
import { refusedFunctions } from "./shapes/refused-functions.ts";

describe("a function that cannot travel is refused in words that help:", () => {
  let cluster: EmbeddedCluster;
  beforeAll(() => {
    cluster = new EmbeddedCluster();
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  test.for(refusedFunctions)("$name", async ({ make, variable, path, words, isNowhere }) => {
    const fabric = await cluster.fabric();
    await using pool = fabric.pool();
    const error: unknown = await pool.map(make(fabric), [{}]).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(CaptureError);
    const { message, file, ...told } = error as CaptureError;
    expect({ variable: told.variable, path: told.path }).toEqual({ variable, path: `$${path ?? ""}` });
    expect(message).toMatch(words);
    expect(file).toMatch(isNowhere === true ? /^$/ : /refused-functions\.ts$/);
    expect(await pool.map((n: number) => n + 1, [1, 2])).toEqual([2, 3]);
  });
});
