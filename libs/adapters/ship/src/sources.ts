import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";

/** How files are called inside artifacts, whose bytes must not depend on where a checkout is: by package and path inside. */
const SCHEME = "heddle:///";

/** Names in stacks whose files are remembered. More: the ones met first are forgotten, and stay named by package. */
const LOCAL_SOURCES_MAX = 100_000;

/** Local files by the name that they have in artifacts. */
const localFiles = new Map<string, string>();

/** The name of a file inside artifacts, as a URL. Remembers the file for `localStack`. */
export function sourceUrl(file: string): string {
  const url = SCHEME + portableName(file);
  if (localFiles.get(url) === file) return url;
  localFiles.delete(url);
  localFiles.set(url, file);
  for (const oldest of localFiles.keys()) {
    if (localFiles.size <= LOCAL_SOURCES_MAX) break;
    localFiles.delete(oldest);
  }
  return url;
}

/** A source as a tool left it in a map: URLs of ours may have become paths on the way. Undefined for others. */
export function restoredUrl(source: string): string | undefined {
  const [, name] = /heddle:\/+(.+)$/.exec(source) ?? [];
  return name === undefined ? undefined : SCHEME + name;
}

/** A stack with files of this program named as they are called here; others by their package. */
export function localStack(stack: string): string {
  if (!stack.includes(SCHEME)) return stack;
  return stack.replace(/heddle:\/\/\/[^\s()]+?(?=(?::\d+)*(?:[\s()]|$))/g, (url) => {
    const local = localFiles.get(decoded(url)) ?? localFiles.get(url);
    return local ?? url.slice(SCHEME.length);
  });
}

function decoded(url: string): string {
  try {
    return decodeURI(url);
  } catch {
    return url; // somebody's own text that only looks like one
  }
}

function portableName(path: string): string {
  const inPackages = path.lastIndexOf(`${sep}node_modules${sep}`);
  if (inPackages >= 0) return slashes(path.slice(inPackages + 1));
  const root = packageRoot(dirname(path));
  if (root === undefined) return basename(path);
  return slashes(join(packageName(root) ?? basename(root), relative(root, path)));
}

function slashes(path: string): string {
  return path.replaceAll(sep, "/");
}

/** The nearest directory upwards with a package.json. */
export function packageRoot(directory: string): string | undefined {
  for (let at = directory; ; at = dirname(at)) {
    if (existsSync(join(at, "package.json"))) return at;
    if (at === dirname(at)) return undefined;
  }
}

function packageName(root: string): string | undefined {
  try {
    const { name } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { name?: unknown };
    return typeof name === "string" && name !== "" ? name : undefined;
  } catch {
    return undefined; // not ours to mend
  }
}
