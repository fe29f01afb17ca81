/**
 * Builds the one package that is published, from sources: `node tools/build-sdk.mjs [--out DIR]`, libs/sdk/dist unless given.
 * DIR/*.js are the bundles, for use inside this checkout. DIR/package is what `npm pack` makes the tarball of: the same bundles,
 * declarations for TypeScript, and a package.json that names what runs beside them.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { bundleSdk } from "./sdk-bundles.mjs";
import { writeDeclarations } from "./sdk-declarations.ts";
import { manifest, readWorkspaces, sdkEntries } from "./sdk-package.ts";

const root = join(import.meta.dirname, "..");
const { values: options } = parseArgs({ options: { out: { type: "string", default: join(root, "libs/sdk/dist") } } });

const missing = Object.values(sdkEntries).filter((source) => !existsSync(join(root, source)));
if (missing.length > 0) {
  console.error(`build-sdk: not there: ${missing.join(", ")}`);
  process.exit(1);
}
try {
  await buildSdk(resolve(options.out));
} catch (error) {
  console.error(`build-sdk: ${error.message}`);
  process.exit(1);
}

async function buildSdk(out) {
  const packageDirectory = join(out, "package");
  const workspaces = readWorkspaces(root);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(packageDirectory, { recursive: true });

  cpSync(join(root, "libs/wire/src/gen/heddle.binpb"), join(out, "gen/heddle.binpb"));
  const bundled = await bundleSdk(root, workspaces, out);
  for (const file of [...bundled.files, "gen/heddle.binpb"]) {
    cpSync(join(out, file), join(packageDirectory, "dist", file));
    if (file.endsWith(".map")) nameSources(out, join(packageDirectory, "dist", file));
  }

  const declared = writeDeclarations(root, workspaces, join(packageDirectory, "types"));
  const json = manifest(workspaces, new Set([...bundled.imports, ...declared.imports]));
  writeFileSync(join(packageDirectory, "package.json"), `${JSON.stringify(json, null, 2)}\n`);
  cpSync(join(root, "libs/sdk/bin"), join(packageDirectory, "bin"), { recursive: true });
  writeFileSync(join(packageDirectory, "THIRD_PARTY_LICENSES.txt"), bundled.notices);
  for (const file of ["LICENSE", "README.md"]) cpSync(join(root, file), join(packageDirectory, file));
  console.log(`build-sdk: ${bundled.files.length} files, ${declared.count} declarations in ${relative(root, out)}`);
}

/** Makes a map call its sources what they are called in the repository, below the installed package: heddle/libs/sdk/src/pool.ts. */
function nameSources(out, file) {
  const map = JSON.parse(readFileSync(file, "utf8"));
  map.sources = map.sources.map((source) => join("..", relative(root, resolve(out, source))));
  writeFileSync(file, JSON.stringify(map));
}
