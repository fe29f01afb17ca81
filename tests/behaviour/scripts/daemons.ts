/** Starts a daemon, which works for ever, and a process that is none, and is at its end: that is when the latter ends. */
import { Process } from "heddle";
import { sleeps, waitsAt } from "../process-tasks.ts";

const [gate = ""] = process.argv.slice(2);
const daemon = new Process({ target: sleeps, daemon: true });
const other = new Process({ target: waitsAt, args: [gate] });
await Promise.all([daemon.start(), other.start()]);
console.log("started");
process.on("exit", () => console.log(other.exitCode));
