import { connect, HeddleError, Pool, StateError, task } from "heddle";
import { cube } from "./tasks.ts";

interface Row {
  readonly n: number;
}
const factor = 2;
await using pool = new Pool({ processes: 2 });
const rows: Row[] = [{ n: 1 }, { n: 2 }, { n: 3 }];
const results = await pool.map(async ({ n }) => {
  await using inner = new Pool({ processes: 1 });
  const [cubed] = await inner.map((x) => cube(x) * factor, [n]);
  const refused = await inner.map("no function" as never, [1]).catch((error: unknown) => error);
  const closed = await inner.apply(() => Symbol()).catch((error: unknown) => error instanceof HeddleError);
  await using fabric = await connect();
  const early = await fabric
    .pool()
    .join()
    .catch((error: unknown) => error instanceof StateError);
  return { index: task().index, cubed, refused: refused instanceof TypeError, closed, early };
}, rows);
const thrown = (await pool.apply(fails).catch((error: unknown) => error)) as Error;
const frames = (thrown.stack ?? "").split("\n").slice(1);
console.log(JSON.stringify({ results, frames: frames.map((frame) => frame.replace(/^.*\/(?=\w+\.ts)/, "")) }));

async function fails(): Promise<never> {
  await null;
  throw new RangeError("told");
}
