/** Uses all kinds of things without naming a fabric: where it is, and what to show there, is in the environment. It says what came of it, a line of JSON. */
import { Manager, Pool, Process, Queue, Value } from "heddle";
import { puts, squares } from "../security/tasks.ts";

await using pool = new Pool({ processes: 2 });
const squared = await pool.map(squares, [[1, 2], [3]], { chunkSize: 1 });
const queue = new Queue<string>();
const child = new Process({ target: puts, args: [queue, "from a process"] });
await child.start();
const said = await queue.get();
await child.join();
await using manager = new Manager();
const value = new Value("i32", 1);
const total = await manager.lock().run(() => value.add(41));
process.stdout.write(`${JSON.stringify({ squared, said, exitCode: child.exitCode, total })}\n`);
