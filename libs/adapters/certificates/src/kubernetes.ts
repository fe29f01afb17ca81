import { InvalidArgumentError } from "@heddle/kernel";
import type { Identity } from "./authority.ts";

export interface SecretNames {
  readonly name: string;
  /** The one that kubectl is set to by default. */
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * A Secret of Kubernetes, to be written as YAML or JSON: of type kubernetes.io/tls, with ca.crt, tls.crt and tls.key, so that it can be
 * mounted as a party's directory. Throws InvalidArgumentError for names that Kubernetes does not take.
 */
export function kubernetesSecret({ name, namespace, labels }: SecretNames, identity: Identity): object {
  const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
  if (name.length > 253 || !new RegExp(`^${label}(\\.${label})*$`).test(name))
    throw new InvalidArgumentError(`${JSON.stringify(name)} cannot be the name of a Secret (a-z, 0-9, "-" and ".")`);
  if (namespace !== undefined && !new RegExp(`^${label}$`).test(namespace))
    throw new InvalidArgumentError(
      `${JSON.stringify(namespace)} cannot be a namespace of Kubernetes (1-63 of a-z, 0-9 and "-")`,
    );
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, ...(namespace !== undefined && { namespace }), ...(labels !== undefined && { labels }) },
    type: "kubernetes.io/tls",
    data: {
      "ca.crt": base64(identity.caPem),
      "tls.crt": base64(identity.certPem),
      "tls.key": base64(identity.keyPem),
    },
  };
}
