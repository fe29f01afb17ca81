/** Maps, and reads nothing while it is stopped by SIGSTOP. Arguments: a gate that its items wait at, and how many results of 1 MiB there are. Prints how many were right. */
import { Pool, range } from "heddle";
import { comeTo, passGate } from "../../harness/gate.ts";

const [gate = "", count] = process.argv.slice(2);
await using pool = new Pool();
const makes = async (n: number): Promise<Uint8Array> => {
  comeTo(gate, String(process.pid));
  await passGate(gate);
  return new Uint8Array(1024 * 1024).fill(n);
};
const all = await pool.map(makes, range(Number(count)), { chunkSize: Number(count) / 4 });
console.log(all.filter((bytes, n) => bytes.length === 1024 * 1024 && bytes[0] === n && bytes.at(-1) === n).length);
