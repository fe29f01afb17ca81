import { nodesAdmin, objectsAdmin } from "heddle";
import { withFabric } from "./client.ts";
import { plainText } from "./format.ts";
import { describeJob, jobPart, whyJob, whyPart } from "./job-questions.ts";
import { kindOf, named, nodes } from "./kinds.ts";
import { lockRows, objectRows, whyLines } from "./lock-words.ts";
import { nodeRows } from "./node-words.ts";
import { documentText, type OutputFormat } from "./output.ts";
import { isTable, type Print, printRows } from "./questions.ts";
import { nameOf } from "./shared-kinds.ts";
import type { Target } from "./targets.ts";

/** Which node, job or object is meant, and how to answer. */
export interface Subject extends Target {
  readonly output: OutputFormat;
  /** The kind, in a word of the user's. */
  readonly word: string;
  /** Its name, its id, or the beginning of its id. */
  readonly name: string;
}

/** `heddle describe node|job|object|lock NAME`. */
export function describe(subject: Subject, print: Print): Promise<void> {
  const { output, word, name } = subject;
  const kind = kindOf("describe", word, ["nodes", "jobs", "objects", "locks"]);
  return withFabric(subject, async (fabric) => {
    if (kind === "nodes") {
      const report = await nodesAdmin(fabric).node(named(nodes, await fabric.nodes(), name).name);
      return isTable(output) ? printRows(nodeRows(report), print) : print(documentText(output, report));
    }
    if (kind === "jobs") return await describeJob(fabric, name, output, print);
    const admin = objectsAdmin(fabric);
    if (kind === "objects") {
      const report = await admin.object(name);
      return isTable(output) ? printRows(objectRows(report), print) : print(documentText(output, report));
    }
    const report = await admin.lock(name);
    return isTable(output) ? printRows(lockRows(report), print) : print(documentText(output, report));
  });
}

/** `heddle why lock|job NAME` and `heddle why chunk|item JOB/N`. */
export function why(subject: Subject, print: Print): Promise<void> {
  const { output, word, name } = subject;
  const kind = kindOf("why", word, ["jobs", "chunks", "items", "locks"]);
  const part = kind === "chunks" || kind === "items" ? jobPart(kind, name) : undefined;
  return withFabric(subject, async (fabric) => {
    if (part !== undefined) return await whyPart(fabric, part, output, print);
    if (kind === "jobs") return await whyJob(fabric, name, output, print);
    const report = await objectsAdmin(fabric).lock(name);
    if (!isTable(output)) return print(documentText(output, report));
    for (const line of whyLines(report)) print(`${plainText(line)}\n`);
  });
}

/** `heddle break lock NAME`. */
export function breakLock(subject: Subject, reason: string, print: Print): Promise<void> {
  const { output, word, name } = subject;
  kindOf("break", word, ["locks"]);
  return withFabric(subject, async (fabric) => {
    const broken = await objectsAdmin(fabric).breakLock(name, { reason });
    if (!isTable(output)) return print(documentText(output, { broken }));
    print(`lock/${plainText(nameOf(name))} ${broken.length === 0 ? "unchanged: nobody held it" : "broken"}\n`);
  });
}
