/** A worker process of the real make that prints what it is told to by the streams of Node. */
import { openWorkerProcess } from "../worker-process.ts";
import { actOf, saying } from "./puppet-acts.ts";

const { link, wroteOutput } = openWorkerProcess();

link.onEntries((entries) => {
  for (const entry of entries) {
    const act = actOf(entry);
    if (act?.type === "write") process[act.stream].write(act.text);
    if (act?.type === "write" || act?.type === "say") link.send(saying(act.number, wroteOutput()));
  }
});
