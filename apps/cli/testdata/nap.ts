/** A user's script for tests: one task that sleeps for the given number of milliseconds. */
import { connect } from "heddle";
import { nap } from "./nap-tasks.ts";

await using fabric = await connect();
await using pool = fabric.pool();
console.log(`slept ${await pool.apply(nap, [Number(process.argv[2])])}`);
