/** Maps a million small objects once, then 200 maps in a row. Prints how much the heap grew between the 20th and the last of these, in MB. */
import { Pool, range } from "heddle";

const collect = (globalThis as { gc?: () => void }).gc;
if (collect === undefined) throw new Error("run it with --expose-gc");
await using pool = new Pool();
const objects = Array.from({ length: 1_000_000 }, (_, id) => ({ id, name: `object ${id}` }));
const mapped = await pool.map(
  (object: { id: number; name: string }) => ({ ...object, even: object.id % 2 === 0 }),
  objects,
);
const wrong = mapped.findIndex(
  (object, id) => object.id !== id || object.name !== `object ${id}` || object.even !== (id % 2 === 0),
);
if (wrong !== -1) throw new Error(`object ${wrong} is ${JSON.stringify(mapped[wrong])}`);
mapped.length = 0;
objects.length = 0;

let firstBytes = 0;
for (let turn = 0; turn < 200; turn++) {
  const total = await pool.mapReduce(
    (n: number) => n,
    (a: number, b: number) => a + b,
    range(10_000),
  );
  const some = await pool.map((n: number) => ({ n, turn }), range(500), { chunkSize: 7 });
  if (total !== 49_995_000 || some.length !== 500) throw new Error(`turn ${turn}: ${total}, ${some.length}`);
  if (turn !== 20 && turn !== 199) continue;
  collect();
  const { heapUsed } = process.memoryUsage();
  if (turn === 20) firstBytes = heapUsed;
  else console.log(((heapUsed - firstBytes) / 1024 / 1024).toFixed(2));
}
