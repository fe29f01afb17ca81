import { spawnSync } from "node:child_process";

/** Where Debian's python3-distributed is found even when another python3 comes first in PATH. */
const INTERPRETERS = ["python3", "/usr/bin/python3"];

/** The first interpreter that has the module, and what it says of its version and the module's; undefined if none has. */
export function pythonWith(module: string): { readonly python: string; readonly versions: string } | undefined {
  const script = `import platform, ${module}; print(platform.python_version(), getattr(${module}, "__version__", ""))`;
  for (const python of INTERPRETERS) {
    const { status, stdout } = spawnSync(python, ["-c", script], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    if (status === 0) return { python, versions: stdout.trim() };
  }
  return undefined;
}
