/** A worker process that does as it is told. */
import { spawn } from "node:child_process";
import { closeSync, writeSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { unreachable } from "@heddle/kernel";
import { LINK_FD, openMarks, openWorkerLink } from "../worker-link.ts";
import { actOf, type ProcessAct, saying } from "./puppet-acts.ts";

const link = openWorkerLink();
const marks = openMarks();

function perform(act: ProcessAct): void {
  switch (act.type) {
    case "say":
      return link.send(saying(act.number, false));
    case "write":
      writeAll(act.stream === "stdout" ? 1 : 2, act.text);
      return link.send(saying(act.number, true));
    case "mark":
      return marks.mark(act.assignment, act.offset, act.slot ?? 0);
    case "unmark":
      return marks.unmark(act.slot);
    case "exit":
      link.flush();
      return process.exit(act.code);
    case "die":
      link.flush();
      process.kill(process.pid, act.signal);
      return;
    case "spin":
      link.send(saying(act.number, false));
      link.flush();
      for (;;);
    case "ignore-sigterm":
      process.on("SIGTERM", () => undefined);
      return;
    case "runaway": {
      const stdio = act.keepsOutput ? ("inherit" as const) : ("ignore" as const);
      const child = spawn("sleep", ["1000"], { detached: true, stdio });
      writeAll(1, `${child.pid}\n`);
      return link.send(saying(act.number, true));
    }
    case "raw":
      link.flush();
      writeSync(LINK_FD, Buffer.from(act.hex, "hex"));
      return;
    case "hang-up":
      link.flush();
      closeSync(LINK_FD);
      setInterval(() => undefined, 1_000);
      return;
    default:
      return unreachable(act);
  }
}

function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

link.onEntries((entries) => {
  for (const entry of entries) {
    const act = actOf(entry);
    if (act !== undefined) perform(act);
  }
});
void link.ended.then(() => process.exit(0));
link.send({ kind: { $case: "workerReady", value: { pid: process.pid, nodeVersion: process.version } } });
link.flush();
flushCompileCache(); // it may be killed any time, and the next one should start faster
