import type { AnyFunction } from "@heddle/port-shipper";
import { type TransformOptions, transform } from "esbuild";
import { afterAll, expect, test } from "vitest";
import { stopBundler } from "./bundle.ts";
import { createShipper } from "./shipper.ts";
import { Project } from "./testing.ts";

afterAll(stopBundler);

/** What a user wrote: an enum makes sure that it is no mere stripping of types. */
const written = `import { twice } from "./helper";
interface Unused {
  a: 1;
}
enum Color { Red = 3, Green }
class Dye {
  #color = Color.Green;
  constructor(readonly by: number) {}
  get strength(): number {
    return this.#color * this.by;
  }
}
const offset: number = 100;
export function exportedHelper(n: number): number {
  return n + offset;
}
export const get = () => (n: number): number => {
  if (n > 20) throw new RangeError("too much: " + n);
  return twice(n) + exportedHelper(new Dye(2).strength) + Color.Red;
};
`;
const expected = 2 * 10 + (4 * 2 + 100) + 3;

const compilers: readonly (readonly [what: string, file: string, options: TransformOptions])[] = [
  ["an ES module with its map inside", "main.mjs", { format: "esm", sourcemap: "inline" }],
  ["an ES module with its map beside it", "main.mjs", { format: "esm", sourcemap: "external" }],
  [
    "an ES module whose names are kept, as tsx makes it",
    "main.mjs",
    { format: "esm", sourcemap: "inline", keepNames: true },
  ],
  ["a CommonJS module, as tsx makes it", "main.cjs", { format: "cjs", sourcemap: "inline", keepNames: true }],
  ["a minified module", "main.mjs", { format: "esm", sourcemap: "inline", minify: true, keepNames: true }],
];

test.each(compilers)(
  "a closure of %s ships, and its stack has the lines that were written",
  async (_what, file, options) => {
    using project = new Project({
      "package.json": '{"name": "app"}',
      "src/main.ts": written,
      "src/helper.mjs": "export const twice = (n) => 2 * n;",
      "src/helper.cjs": "exports.twice = (n) => 2 * n;",
    });
    const suffix = file.slice(-4);
    const text = written.replace('"./helper"', `"./helper${suffix}"`);
    const { code, map } = await transform(text, { loader: "ts", target: "node24", sourcefile: "main.ts", ...options });
    project.write(`src/${file}.map`, map);
    const link = options.sourcemap === "external" ? `\n//# sourceMappingURL=${file}.map\n` : "";
    project.write(`src/${file}`, code + link);
    const module = await project.import<{ get?: AnyFunction; default?: { get: AnyFunction } }>(`src/${file}`);
    const get = module.get ?? module.default?.get;
    const fn = get?.() as AnyFunction;
    await using shipper = createShipper();
    const shipped = await shipper.ship(fn);
    expect((await project.load(shipped))(10)).toBe(expected);
    const told = { artifact: project.store(shipped.artifact), captured: [...(shipped.captured as Uint8Array)] };
    project.write(
      "load.ts",
      `import { decodeValue } from ${JSON.stringify(import.meta.resolve("@heddle/wire"))};
     const { default: make } = await import(${JSON.stringify(told.artifact)});
     const fn = make((functions) => decodeValue(Uint8Array.from(${JSON.stringify(told.captured)}), "value", { reviveFunction: (at) => functions[at] }));
     try { fn(21); } catch (error) { console.log(error.stack); }`,
    );
    const stack = shipper.localStack(await project.run("load.ts", "--enable-source-maps"));
    expect(stack).toContain(`${project.path("src/main.ts")}:18:`);
  },
);
