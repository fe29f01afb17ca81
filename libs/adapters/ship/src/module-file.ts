import { existsSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { CaptureError } from "@heddle/kernel";

/** The file of a module that is named by URL. Throws CaptureError for one that is not there or is the running program itself. */
export function moduleAt(module: URL, exportName: string, isEntry: (file: string) => boolean): string {
  const path = module.protocol === "file:" ? fileURLToPath(module) : module.href;
  const refuse = (reason: string): CaptureError =>
    new CaptureError(`${exportName} of ${path} ${reason}`, { variable: exportName, path: "$", file: path, line: 0 });
  if (module.protocol !== "file:") throw refuse("is no file: modules are sent from files of this machine");
  if (!existsSync(path)) throw refuse("cannot be sent: there is no such file");
  const file = realpathSync(path);
  if (isEntry(file)) throw refuse("is of the script that was started, which would run again in each worker");
  return file;
}
