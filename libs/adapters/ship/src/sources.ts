import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";

/** How files are called inside artifacts, whose bytes must not depend on where a checkout is: by package and path inside. */
const SCHEME = "heddle:///";

/** Files whose names are remembered. More: the ones met first are forgotten, and stay named by package in stacks. */
const SOURCES_MAX = 100_000;

/** The files that went into artifacts, under the names that they have there. */
export class Sources {
  /** Absolute paths by URL, the one met first first. Size <= SOURCES_MAX. */
  readonly #files = new Map<string, string>();

  /** The name of a file inside artifacts, as a URL. Remembers the file for `localStack`. */
  urlOf(file: string): string {
    const url = SCHEME + encoded(portableName(file));
    if (this.#files.get(url) === file) return url;
    this.#files.delete(url);
    this.#files.set(url, file);
    for (const oldest of this.#files.keys()) {
      if (this.#files.size <= SOURCES_MAX) break;
      this.#files.delete(oldest);
    }
    return url;
  }

  /** A stack with files of this program named as they are called here; others by their package. */
  localStack(stack: string): string {
    if (!stack.includes(SCHEME)) return stack;
    return stack.replace(/heddle:\/\/\/[^\s()]+?(?=(?::\d+)*(?:[\s()]|$))/g, (url) => {
      return this.#files.get(url) ?? decoded(url.slice(SCHEME.length));
    });
  }
}

/** A source as a tool left it in a map: URLs of ours may have become paths on the way. Undefined for others. */
export function restoredUrl(source: string): string | undefined {
  const [, name] = /heddle:\/+(.+)$/.exec(source) ?? [];
  return name === undefined ? undefined : SCHEME + name;
}

/** The nearest directory upwards with a package.json. */
export function packageRoot(directory: string): string | undefined {
  for (let at = directory; ; at = dirname(at)) {
    if (existsSync(join(at, "package.json"))) return at;
    if (at === dirname(at)) return undefined;
  }
}

/** As it stands in stacks: nothing in it ends a name there, and URL parsers leave it as it is. */
function encoded(name: string): string {
  return encodeURI(name).replace(/[()?#]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // somebody's own text that only looks like one
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

function packageName(root: string): string | undefined {
  try {
    const { name } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { name?: unknown };
    return typeof name === "string" && name !== "" ? name : undefined;
  } catch {
    return undefined; // not ours to mend
  }
}
