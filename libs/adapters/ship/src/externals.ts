/** The package of a specifier: `@scope/name/file` is of `@scope/name`. */
export function packageOf(specifier: string): string {
  const [first = "", second = ""] = specifier.split("/");
  return first.startsWith("@") ? `${first}/${second}` : first;
}

/** Throws TypeError for a name that no package has. */
export function checkPackageNames(names: readonly string[]): void {
  for (const name of names) {
    if (!/^(@[\w.~-]+\/)?[\w~][\w.~-]*$/.test(name))
      throw new TypeError(
        `external has names of packages, as in "sharp" or "@scope/name"; got ${JSON.stringify(name)}`,
      );
  }
}

/** The remark in an artifact's first line that tells a loader which packages are to be found on its machine. */
export function externalsRemark(packages: readonly string[]): string {
  return packages.length === 0 ? "" : `/* heddle external: ${[...packages].sort().join(" ")} */ `;
}

/** The packages that an artifact needs on the machine where it runs. */
export function externalsIn(artifact: Buffer): readonly string[] {
  if (!artifact.subarray(0, REMARK.length).equals(REMARK)) return [];
  const end = artifact.indexOf(" */");
  return artifact.toString("utf8", REMARK.length, end).split(" ");
}

const REMARK = Buffer.from("/* heddle external: ");
