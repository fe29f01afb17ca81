import { connect } from "heddle";
import { counted, itemsOf } from "../kept/kept-tasks.ts";

/**
 * Submits a job of squares under an id: "detach" waits for its results, "leave" for its acceptance only, "awaited" does not detach it, "stuck" never comes to the end of its inputs.
 * `gate`: what its items wait for.
 */
const [how = "", jobId = "", count = "", runs = "", gate = ""] = process.argv.slice(2);
const fabric = await connect();
const items = itemsOf(Number(count), { runs, ms: 20, ...(gate === "" ? {} : { gate }) });
async function* stuck() {
  yield* items;
  console.log("stuck");
  await new Promise(() => undefined);
}
const inputs = how === "stuck" ? stuck() : items;
const result = fabric.pool().mapAsync(counted, inputs, { jobId, detach: how !== "awaited", chunkSize: 2 });
await result.accepted();
console.log("accepted");
if (how !== "leave") console.log(`sum ${(await result).reduce((sum, n) => sum + n, 0)}`);
