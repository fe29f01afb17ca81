/**
 * Enforces the rings (tools/ring-table.ts) over every import of every workspace package, type-only ones included,
 * and over what each package.json declares. `node tools/rings.ts` prints each breach as file:line and exits 1.
 */
import { globSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join, posix } from "node:path";
import { hiddenInputs, npmUsers, type Ring, rings } from "./ring-table.ts";
import { isNode, lineAt, nodesOf, parseSource, type SyntaxNode, sourcesUnder } from "./source.ts";

export type Rule =
  | "workspace-edge" // a ring imports or declares a ring it may not know
  | "undeclared" // imported, but not in the package's own dependencies
  | "npm" // a package from npm outside the one folder that may use it
  | "node" // a node: module in a ring without I/O
  | "dynamic" // import() or require() of something the check cannot read
  | "escape" // a relative import that leaves the package
  | "hidden-input" // Math.random and the like
  | "no-ring"; // a package without a ring

export interface Breach {
  readonly rule: Rule;
  /** Path below the root, with ":line" for sources. */
  readonly at: string;
  readonly message: string;
}

interface Package {
  /** Folder below the root. */
  readonly folder: string;
  readonly name: string;
  readonly ring: Ring;
  readonly declared: ReadonlySet<string>;
}

interface Source {
  readonly path: string;
  readonly pkg: Package;
  /** A test or a port's contract suite: may use node: and npm (vitest, above all), but keeps to its ring's edges. */
  readonly isTest: boolean;
}

/** Every breach in the workspace at `root`, packages in the order of its package.json, files in order of path. */
export function breachesIn(root: string): Breach[] {
  const breaches: Breach[] = [];
  const byName = new Map<string, Package>();
  for (const folder of workspaceFolders(root)) {
    const pkg = readPackage(root, folder);
    if (pkg === undefined) {
      breaches.push({ rule: "no-ring", at: `${folder}/package.json`, message: 'has no known "ring:..." in nx.tags' });
    } else {
      byName.set(pkg.name, pkg);
    }
  }
  for (const pkg of byName.values()) {
    breaches.push(...declarationBreaches(pkg, byName));
    for (const path of sourcesUnder(root, pkg.folder)) breaches.push(...sourceBreaches(root, path, pkg, byName));
  }
  return breaches;
}

function workspaceFolders(root: string): string[] {
  const { workspaces } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { workspaces: string[] };
  return workspaces.flatMap((pattern) =>
    globSync(`${pattern}/package.json`, { cwd: root })
      .map((file) => posix.dirname(file.replaceAll("\\", "/")))
      .sort(),
  );
}

function readPackage(root: string, folder: string): Package | undefined {
  const json = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")) as {
    name: string;
    nx?: { tags?: string[] };
    [field: string]: unknown;
  };
  const ring = json.nx?.tags?.find((tag) => tag.startsWith("ring:"))?.slice("ring:".length);
  if (ring === undefined || !isRing(ring)) return undefined;
  const fields = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];
  const declared = new Set(fields.flatMap((field) => Object.keys((json[field] ?? {}) as object)));
  return { folder, name: json.name, ring, declared };
}

function isRing(name: string): name is Ring {
  return Object.hasOwn(rings, name);
}

function declarationBreaches(pkg: Package, byName: ReadonlyMap<string, Package>): Breach[] {
  const at = `${pkg.folder}/package.json`;
  const breaches: Breach[] = [];
  for (const name of pkg.declared) {
    const target = byName.get(name);
    if (target !== undefined && !mayImport(pkg, target)) {
      breaches.push({ rule: "workspace-edge", at, message: `${pkg.ring} may not depend on ${name} (${target.ring})` });
    } else if (target === undefined && !mayUseNpm(pkg, name)) {
      breaches.push({ rule: "npm", at, message: `${pkg.name} may not depend on ${name} from npm` });
    }
  }
  return breaches;
}

function mayImport(from: Package, to: Package): boolean {
  return from.name === to.name || rings[from.ring].mayImport.includes(to.ring);
}

function mayUseNpm(pkg: Package, name: string): boolean {
  return npmUsers[pkg.name]?.includes(name) ?? false;
}

function sourceBreaches(root: string, path: string, pkg: Package, byName: ReadonlyMap<string, Package>): Breach[] {
  const { text, program } = parseSource(root, path);
  const isTest = pkg.ring === "tests" || /\.test\.ts$|\/contract\.ts$|\/contract\//.test(path);
  const source: Source = { path, pkg, isTest };
  const breaches: Breach[] = [];
  for (const node of nodesOf(program)) {
    const found = importBreach(node, source, byName) ?? hiddenInputBreach(node, source);
    if (found !== undefined) breaches.push({ ...found, at: `${path}:${lineAt(text, node.start)}` });
  }
  return breaches;
}

type Finding = Omit<Breach, "at">;

function importBreach(node: SyntaxNode, source: Source, byName: ReadonlyMap<string, Package>): Finding | undefined {
  const imported = importedBy(node);
  if (imported === undefined) return undefined;
  if (!isNode(imported) || typeof imported.value !== "string") {
    if (rings[source.pkg.ring].io !== "none" || source.isTest) return undefined;
    return { rule: "dynamic", message: `${source.pkg.ring} may not import what only a variable names` };
  }
  return specifierBreach(imported.value, source, byName);
}

/** The expression a node imports (a literal, mostly); undefined if the node imports nothing. */
function importedBy(node: SyntaxNode): unknown {
  switch (node.type) {
    case "ImportDeclaration":
    case "ImportExpression":
    case "TSImportType":
    case "ExportAllDeclaration":
      return node.source;
    case "ExportNamedDeclaration":
      return node.source ?? undefined;
    case "TSExternalModuleReference":
      return node.expression;
    case "CallExpression":
      return isNode(node.callee) && node.callee.name === "require" ? (node.arguments as unknown[])[0] : undefined;
    default:
      return undefined;
  }
}

function specifierBreach(specifier: string, source: Source, byName: ReadonlyMap<string, Package>): Finding | undefined {
  const { pkg, isTest } = source;
  if (specifier.startsWith(".") || specifier.startsWith("/")) {
    const target = posix.join(posix.dirname(source.path), specifier);
    if (target.startsWith(`${pkg.folder}/`) && !specifier.startsWith("/")) return undefined;
    return { rule: "escape", message: `"${specifier}" leaves the package: import the other package by its name` };
  }
  if (isBuiltin(specifier)) {
    if (isTest || rings[pkg.ring].io !== "none") return undefined;
    return { rule: "node", message: `${pkg.ring} may not import "${specifier}"` };
  }
  const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  const target = byName.get(name);
  if (target !== undefined && !mayImport(pkg, target)) {
    return { rule: "workspace-edge", message: `${pkg.ring} may not import ${specifier} (${target.ring})` };
  }
  if (target === undefined && isTest) return undefined;
  if (target === undefined && !mayUseNpm(pkg, name)) {
    return { rule: "npm", message: `${pkg.name} may not import "${specifier}" from npm` };
  }
  if (name === pkg.name || pkg.declared.has(name)) return undefined;
  return { rule: "undeclared", message: `"${name}" is not among the dependencies in ${pkg.folder}/package.json` };
}

function hiddenInputBreach(node: SyntaxNode, { pkg, isTest }: Source): Finding | undefined {
  if (isTest || rings[pkg.ring].io === "all") return undefined;
  if (node.type !== "MemberExpression" || !isNode(node.object) || !isNode(node.property)) return undefined;
  if (node.object.type !== "Identifier") return undefined;
  const global = String(node.object.name);
  const member = String(node.computed === true ? node.property.value : node.property.name);
  if (!Object.hasOwn(hiddenInputs, global) || !hiddenInputs[global]?.includes(member)) return undefined;
  return { rule: "hidden-input", message: `${global}.${member}: time and chance come in through the Environment` };
}

if (import.meta.main) {
  const breaches = breachesIn(join(import.meta.dirname, ".."));
  for (const { rule, at, message } of breaches) console.error(`${at}: ${message} [${rule}]`);
  console.log(breaches.length === 0 ? "rings: no breach" : `rings: ${breaches.length} breaches`);
  if (breaches.length > 0) process.exitCode = 1;
}
