import type { Fabric } from "heddle";
import { type FunctionShape, functionShapes } from "./function-shapes.ts";

/** What became of one shape: undefined when it gave the same there as here. */
export interface ShapeFault {
  readonly name: string;
  readonly here: unknown;
  readonly there: unknown;
}

/** Runs every shape here and on the fabric; the faults are those that differ. */
export async function shapeFaults(
  fabric: Fabric,
  isEqual: (here: unknown, there: unknown) => boolean,
): Promise<ShapeFault[]> {
  await using pool = fabric.pool();
  const faults = await Promise.all(
    functionShapes.map(async (shape): Promise<ShapeFault | undefined> => {
      const here = await resultsHere(shape);
      const there = await pool.map(shape.make(), shape.inputs, { chunkSize: 2 }).catch(String);
      return isEqual(here, there) ? undefined : { name: shape.name, here, there };
    }),
  );
  return faults.filter((fault) => fault !== undefined);
}

function resultsHere({ make, inputs }: FunctionShape): Promise<unknown[]> {
  const fn = make();
  return Promise.all(inputs.map((input) => fn(input)));
}
