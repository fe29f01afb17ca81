/** TypeScript's declarations of the published package: one .d.ts a source, below one folder, without a trace of the workspace. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { parseSync } from "oxc-parser";
import type { Workspace } from "./sdk-package.ts";
import { isNode, nodesOf, type SyntaxNode } from "./source.ts";

interface Written {
  /** Files written. */
  readonly count: number;
  /** Specifiers of what they import from outside: npm packages and Node's modules. */
  readonly imports: readonly string[];
}

const roots = ["libs/sdk/src/index.ts", "libs/sdk/src/worker.ts"];

/**
 * Writes the declarations that an import of the package reaches into `out`: libs/ports/rpc/src/link.ts becomes ports/rpc/link.d.ts.
 * `npm run typecheck` judges the sources; this only describes them.
 */
export function writeDeclarations(root: string, workspaces: ReadonlyMap<string, Workspace>, out: string): Written {
  const sources = sourcesByName(workspaces);
  const scratch = mkdtempSync(join(tmpdir(), "heddle-types-"));
  try {
    emit(root, sources, scratch);
    return copyReachable(scratch, sources, out);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Source file below the root of every specifier that names a workspace package. */
function sourcesByName(workspaces: ReadonlyMap<string, Workspace>): ReadonlyMap<string, string> {
  const sources = new Map<string, string>();
  for (const { name, folder, json } of workspaces.values()) {
    for (const [subpath, target] of Object.entries(json.exports ?? {})) {
      if (typeof target === "string" || target["@heddle/source"] === undefined) continue;
      sources.set(posix.join(name, subpath), posix.join(folder, target["@heddle/source"]));
    }
  }
  return sources;
}

/** Through `paths` and not through node_modules: the compiler writes no declarations of what it finds in there. */
function emit(root: string, sources: ReadonlyMap<string, string>, scratch: string): void {
  const config = {
    extends: join(root, "tsconfig.base.json"),
    compilerOptions: {
      noEmit: false,
      noCheck: true,
      declaration: true,
      emitDeclarationOnly: true,
      rootDir: root,
      outDir: scratch,
      typeRoots: [join(root, "node_modules/@types")],
      paths: Object.fromEntries([...sources].map(([name, source]) => [name, [join(root, source)]])),
    },
    files: roots.map((source) => join(root, source)),
  };
  const project = join(scratch, "tsconfig.json");
  writeFileSync(project, JSON.stringify(config));
  execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", project], { stdio: "inherit" });
}

function copyReachable(scratch: string, sources: ReadonlyMap<string, string>, out: string): Written {
  const imports = new Set<string>();
  const reached = new Set(roots);
  for (const source of reached) {
    const text = readFileSync(join(scratch, declarationOf(source)), "utf8");
    const written = rewritten(text, (specifier) => {
      const target = specifier.startsWith(".") ? posix.join(posix.dirname(source), specifier) : sources.get(specifier);
      if (target === undefined) {
        imports.add(specifier);
        return specifier;
      }
      reached.add(target);
      return relativeSpecifier(source, target);
    });
    const file = join(out, declarationOf(published(source)));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, written);
  }
  return { count: reached.size, imports: [...imports] };
}

/** The text with every module specifier replaced by what `replace` makes of it. */
function rewritten(text: string, replace: (specifier: string) => string): string {
  const { program, errors } = parseSync("declaration.d.ts", text);
  const [error] = errors;
  if (error !== undefined) throw new SyntaxError(error.message);
  let result = "";
  let end = 0;
  for (const literal of specifiersIn(program as unknown as SyntaxNode).sort((a, b) => a.start - b.start)) {
    result += text.slice(end, literal.start) + JSON.stringify(replace(String(literal.value)));
    end = literal.end;
  }
  return result + text.slice(end);
}

function specifiersIn(program: SyntaxNode): SyntaxNode[] {
  const importing = /^(ImportDeclaration|ExportNamedDeclaration|ExportAllDeclaration|TSImportType)$/;
  return [...nodesOf(program)]
    .filter(({ type }) => importing.test(type))
    .map(({ source }) => source)
    .filter(isNode);
}

const relativeSpecifier = (from: string, to: string): string => {
  const path = posix.relative(posix.dirname(published(from)), published(to)).replace(/\.ts$/, ".js");
  return path.startsWith(".") ? path : `./${path}`;
};

/** libs/wire/src/gen/x.ts -> wire/gen/x.ts */
const published = (source: string): string => source.replace(/^libs\//, "").replace("/src/", "/");

const declarationOf = (source: string): string => source.replace(/\.ts$/, ".d.ts");
