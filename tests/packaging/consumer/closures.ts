import { HeddleError, Pool, task } from "heddle";
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
  return { index: task().index, cubed, refused: refused instanceof TypeError, closed };
}, rows);
console.log(JSON.stringify(results));
