import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { type LiveScope, valueIn } from "../inspect.ts";
import type { Code } from "./code.ts";
import { isNativeText } from "./natives.ts";

/** What a name means that no declaration of its script gives a meaning. */
export interface OuterName {
  /** There is one such variable for equal keys; undefined when that cannot be told. */
  readonly key: string | undefined;
  readonly name: string;
  readonly read: () => unknown;
  /** It is the same for ever. */
  readonly isConstant: boolean;
}

/** Undefined for names that mean the same everywhere. `scopeWith` gives the scope around the function that has a name. */
export function outerName(
  name: string,
  { source }: Code,
  scopeWith: (name: string) => LiveScope | undefined,
): OuterName | undefined {
  if (!source.isModule) {
    const { file } = source;
    if (file !== undefined && name === "__filename") return constant(name, file);
    if (file !== undefined && name === "__dirname") return constant(name, dirname(file));
    const exported = /^exports\.(.+)$/.exec(name)?.[1];
    const scope = scopeWith(exported === undefined ? name : "exports");
    if (scope !== undefined && exported !== undefined) return exportedName(exported, file, scope);
    if (scope !== undefined)
      return { key: undefined, name, read: () => valueIn(scopeWith(name) ?? {}, name), isConstant: false };
  }
  const property = Object.getOwnPropertyDescriptor(globalThis, name);
  if (property === undefined || !isUserGlobal(property)) return undefined;
  return { key: `global ${name}`, name, read: () => Reflect.get(globalThis, name), isConstant: false };
}

/** `import.meta` of the file that the user wrote, for the machine that it is on. */
export function metaOf(file: string | undefined): Readonly<Record<string, string>> {
  if (file === undefined) return {};
  return { url: pathToFileURL(file).href, filename: file, dirname: dirname(file) };
}

/** `exports.name` of a CommonJS module. */
function exportedName(name: string, file: string | undefined, scope: LiveScope): OuterName {
  const exports = valueIn(scope, "exports") as Readonly<Record<string, unknown>> | undefined;
  return { key: `exports ${file} ${name}`, name, read: () => exports?.[name], isConstant: false };
}

function constant(name: string, value: string): OuterName {
  return { key: `${name} ${value}`, name, read: () => value, isConstant: true };
}

/** Somebody assigned it: what comes with Node.js is hidden, an accessor, or native. */
function isUserGlobal({ value, enumerable, writable }: PropertyDescriptor): boolean {
  return enumerable === true && writable === true && value !== globalThis && !isNativeText(value);
}
