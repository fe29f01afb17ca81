/** What the published package is made of, and its package.json. */
import { globSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join, posix } from "node:path";

/** A package of this checkout. None but `heddle` is published: the others end up inside its bundles. */
export interface Workspace {
  /** Folder below the root. */
  readonly folder: string;
  readonly name: string;
  readonly json: PackageJson;
}

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly license?: string;
  readonly keywords?: readonly string[];
  readonly repository?: unknown;
  readonly engines?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly files?: readonly string[];
  readonly exports?: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
}

/** Name of the bundle, and the source it starts at. */
export const sdkEntries = {
  index: "libs/sdk/src/index.ts",
  worker: "libs/sdk/src/worker.ts",
  inside: "libs/sdk/src/inside.ts",
  cli: "apps/cli/src/main.ts",
  coordinator: "apps/coordinator/src/main.ts",
  manager: "apps/manager/src/main.ts",
  agent: "apps/agent/src/main.ts",
  // beside whatever connects
  "lease-thread": "libs/sdk/src/lease-thread.ts",
  // beside whatever opens a journal
  "journal-thread": "libs/adapters/sqlite/src/journal-thread.ts",
  // beside whatever opens a job store
  "job-store-thread": "libs/adapters/sqlite/src/job-store-thread.ts",
};

/** Every package below libs/ and apps/, by name. */
export function readWorkspaces(root: string): ReadonlyMap<string, Workspace> {
  const files = globSync("{libs,apps}/**/package.json", { cwd: root, exclude: ["**/node_modules", "**/dist"] });
  const workspaces = files.sort().map((file) => {
    const json = JSON.parse(readFileSync(join(root, file), "utf8")) as PackageJson;
    return { folder: posix.dirname(file.replaceAll("\\", "/")), name: json.name, json };
  });
  return new Map(workspaces.map((workspace) => [workspace.name, workspace]));
}

/** What the packages take from npm, in order. */
export function npmPackagesOf(workspaces: ReadonlyMap<string, Workspace>): string[] {
  return [...npmVersions(workspaces).keys()].sort();
}

/** The published package.json. `imports` are the specifiers that bundles and declarations import; those from npm become its dependencies. */
export function manifest(workspaces: ReadonlyMap<string, Workspace>, imports: ReadonlySet<string>): object {
  const sdk = workspaces.get("heddle");
  if (sdk === undefined) throw new Error("no package is called heddle");
  const { name, version, description, keywords, license, repository, engines, bin, files = [] } = sdk.json;
  return {
    ...{ name, version, description, keywords, license, repository, type: "module", engines, bin },
    sideEffects: Object.keys(sdkEntries)
      .filter((entry) => entry !== "index")
      .map((entry) => `./dist/${entry}.js`),
    exports: {
      ".": { types: "./types/sdk/index.d.ts", default: "./dist/index.js" },
      "./worker": { types: "./types/sdk/worker.d.ts", default: "./dist/worker.js" },
      "./package.json": "./package.json",
    },
    files: [...files, "types", "THIRD_PARTY_LICENSES.txt"],
    dependencies: dependencies(npmVersions(workspaces), imports),
  };
}

function npmVersions(workspaces: ReadonlyMap<string, Workspace>): Map<string, string> {
  const versions = new Map<string, string>();
  for (const { json } of workspaces.values()) {
    for (const [name, version] of Object.entries(json.dependencies ?? {})) {
      if (workspaces.has(name)) continue;
      const other = versions.get(name);
      if (other !== undefined && other !== version) throw new Error(`${name} is wanted as ${other} and as ${version}`);
      versions.set(name, version);
    }
  }
  return versions;
}

/** Any compatible release will do for users, who want its fixes; this checkout alone is held to the one in its lock. */
function dependencies(versions: ReadonlyMap<string, string>, imports: ReadonlySet<string>): Record<string, string> {
  const names = new Set([...imports].filter((specifier) => !isBuiltin(specifier)).map(packageName));
  return Object.fromEntries(
    [...names].sort().map((name) => {
      const version = versions.get(name);
      if (version === undefined) throw new Error(`${name} is imported, but no package.json declares it`);
      return [name, `^${version}`];
    }),
  );
}

/** "@scope/name/path" is of "@scope/name". */
function packageName(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}
