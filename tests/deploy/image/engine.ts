import { execFile, execFileSync, spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { cacheDirectory, cached, installedPackages } from "../downloads.ts";

const run = promisify(execFile);
const repository = join(import.meta.dirname, "../../..");
const programs = ["buildah", "runc", "debootstrap"];
/** As package.json says. */
const NPM = "npm@11.19.1";
const SUITE = "bookworm";
const CERTIFICATES = "etc/ssl/certs/ca-certificates.crt";
/** Which Node and which tree of Debian they are of is in their names: others are made anew. */
const BASE = `localhost/heddle-test/base:${SUITE}-${process.versions.node}`;
const BUILD_BASE = `localhost/heddle-test/build-base:${SUITE}-${process.versions.node}`;

/** The image that is tried. */
export const IMAGE = "localhost/heddle-test/heddle:0.1.0";

/** Why images can be neither built nor run here; undefined when they can, once `installEngine` has been called. */
export const whyNoImages: string | undefined = findOut();

function findOut(): string | undefined {
  if (process.platform !== "linux") return `images are built on Linux, and this is ${process.platform}`;
  if (process.getuid?.() !== 0) return "buildah and runc without an engine take root";
  const missing = programs.filter((program) => spawnSync("which", [program]).status !== 0);
  if (missing.length === 0 || spawnSync("which", ["apt-get"]).status === 0) return undefined;
  return `${missing.join(", ")} cannot be installed without apt-get`;
}

/** Installs from Debian what is missing of the programs that build images and run them. */
export async function installEngine(): Promise<void> {
  if (programs.every((program) => spawnSync("which", [program]).status === 0)) return;
  await run("apt-get", ["update", "-qq"]);
  await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...programs]);
}

/** Runs buildah on images of our own, beside all others of the machine; its output. Rejects with what it says. */
export async function buildah(...args: readonly string[]): Promise<string> {
  const store = ["--root", join(cacheDirectory, "images"), "--runroot", "/run/heddle-deploy-images"];
  const env = { ...process.env, STORAGE_DRIVER: "overlay", BUILDAH_ISOLATION: "chroot" };
  const { stdout } = await run("buildah", [...store, ...args], { env, maxBuffer: 1 << 26 });
  return stdout.trim();
}

/** Builds the image of this checkout by its Dockerfile, on a Debian that is made here: nothing comes from a registry of images. */
export async function buildImage(): Promise<void> {
  await makeBases();
  const directory = join(repository, "deploy/image");
  const bases = ["--build-arg", `BASE=${BASE}`, "--build-arg", `BUILD_BASE=${BUILD_BASE}`];
  const files = ["--file", join(directory, "Dockerfile"), "--ignorefile", join(directory, "Dockerfile.dockerignore")];
  // The format of Docker: that of OCI has no health command.
  await buildah(
    "build",
    "--pull-never",
    "--layers",
    "--format",
    "docker",
    ...bases,
    ...files,
    "--tag",
    IMAGE,
    repository,
  );
}

/** Debian with this Node, and the same with npm, which what is built needs. */
async function makeBases(): Promise<void> {
  if ((await buildah("images", "--json")).includes(BUILD_BASE)) return;
  const tree = await cached(`debian-${SUITE}`, async (directory) => {
    const options = ["--variant=minbase", "--include=ca-certificates,libstdc++6,libatomic1"];
    await run("debootstrap", [...options, SUITE, directory], { maxBuffer: 1 << 26 });
    chmodSync(directory, 0o755);
    for (const path of ["var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"])
      rmSync(join(directory, path), { recursive: true, force: true });
  });
  await makeImage("scratch", BASE, (root) => {
    execFileSync("cp", ["-a", `${tree}/.`, root]); // with all modes: /tmp is everybody's
    mkdirSync(join(root, "usr/local/bin"), { recursive: true });
    cpSync(process.execPath, join(root, "usr/local/bin/node"));
  });
  const npm = await installedPackages(NPM.replace("@", "-"), [NPM]);
  await makeImage(BASE, BUILD_BASE, (root) => {
    cpSync(join(npm, "node_modules/npm"), join(root, "usr/local/lib/node_modules/npm"), { recursive: true });
    symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(root, "usr/local/bin/npm"));
    mkdirSync(dirname(join(root, CERTIFICATES)), { recursive: true });
    cpSync(join("/", CERTIFICATES), join(root, CERTIFICATES)); // this machine's registry may be known by a certificate of its own
  });
}

async function makeImage(from: string, tag: string, fill: (root: string) => void): Promise<void> {
  const container = await buildah("from", "--pull-never", from);
  try {
    fill(await buildah("mount", container));
    const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    await buildah("config", "--env", `PATH=${path}`, "--env", `NODE_EXTRA_CA_CERTS=/${CERTIFICATES}`, container);
    await buildah("commit", "--quiet", container, tag);
  } finally {
    await buildah("rm", container);
  }
}

/** How the image says that it is run. */
export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly WorkingDir: string;
  readonly StopSignal?: string;
  readonly Healthcheck?: { readonly Test: readonly string[] };
}

export async function imageConfig(): Promise<ImageConfig> {
  const { Docker } = JSON.parse(await buildah("inspect", "--type", "image", IMAGE)) as {
    readonly Docker: { readonly config: ImageConfig };
  };
  return Docker.config;
}

/** How large the image is, and how much of that is not its base's; as buildah says it, in MB of 1,000,000 bytes. */
export async function imageSizesMB(): Promise<{ readonly all: number; readonly own: number }> {
  const images = JSON.parse(await buildah("images", "--json")) as readonly {
    readonly names: readonly string[] | null;
    readonly size: string;
  }[];
  const sizeOf = (name: string): number => {
    const size = images.find(({ names }) => names?.includes(name))?.size ?? "";
    const [, number] = /^([\d.]+) MB$/.exec(size) ?? [];
    if (number === undefined) throw new Error(`${name} has the size ${JSON.stringify(size)}`);
    return Number(number);
  };
  const all = sizeOf(IMAGE);
  return { all, own: all - sizeOf(BASE) };
}

/** The Node of the image that a Dockerfile names as its base. */
export function namedNode(): string | undefined {
  const text = readFileSync(join(repository, "deploy/image/Dockerfile"), "utf8");
  return /^ARG BASE=.*node:(\d+\.\d+\.\d+)-/m.exec(text)?.[1];
}
