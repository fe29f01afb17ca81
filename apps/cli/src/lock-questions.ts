import { objectsAdmin } from "heddle";
import { withFabric } from "./client.ts";
import { plainText } from "./format.ts";
import { kindOf } from "./kinds.ts";
import { lockRows, objectRows, whyLines } from "./lock-words.ts";
import { documentText, type OutputFormat } from "./output.ts";
import { isTable, type Print, printRows } from "./questions.ts";
import { nameOf } from "./shared-kinds.ts";

/** Which object is meant, and how to answer. */
export interface Subject {
  readonly address: string;
  readonly output: OutputFormat;
  /** The kind, in a word of the user's. */
  readonly word: string;
  /** Its name, its id, or the beginning of its id. */
  readonly name: string;
}

/** `heddle describe object|lock NAME`. */
export function describe({ address, output, word, name }: Subject, print: Print): Promise<void> {
  const kind = kindOf("describe", word, ["objects", "locks"]);
  return withFabric(address, async (fabric) => {
    const admin = objectsAdmin(fabric);
    if (kind === "objects") {
      const report = await admin.object(name);
      return isTable(output) ? printRows(objectRows(report), print) : print(documentText(output, report));
    }
    const report = await admin.lock(name);
    return isTable(output) ? printRows(lockRows(report), print) : print(documentText(output, report));
  });
}

/** `heddle why lock NAME`. */
export function why({ address, output, word, name }: Subject, print: Print): Promise<void> {
  kindOf("why", word, ["locks"]);
  return withFabric(address, async (fabric) => {
    const report = await objectsAdmin(fabric).lock(name);
    if (!isTable(output)) return print(documentText(output, report));
    for (const line of whyLines(report)) print(`${plainText(line)}\n`);
  });
}

/** `heddle break lock NAME`. */
export function breakLock({ address, output, word, name }: Subject, reason: string, print: Print): Promise<void> {
  kindOf("break", word, ["locks"]);
  return withFabric(address, async (fabric) => {
    const broken = await objectsAdmin(fabric).breakLock(name, { reason });
    if (!isTable(output)) return print(documentText(output, { broken }));
    print(`lock/${plainText(nameOf(name))} ${broken.length === 0 ? "unchanged: nobody held it" : "broken"}\n`);
  });
}
