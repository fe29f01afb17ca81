import { defineConfig } from "vitest/config";

/** Tests of what fabrics are deployed with: `npm run test:deploy`. They install what they need, of Debian and npm, and take minutes. */
export default defineConfig({
  root: new URL("../..", import.meta.url).pathname,
  resolve: { conditions: ["@heddle/source"] },
  ssr: { resolve: { conditions: ["@heddle/source", "node", "import", "default"] } },
  test: {
    include: ["tests/deploy/**/*.deploy.ts"],
    globalSetup: ["tests/deploy/network-programs.ts"],
    pool: "forks",
    fileParallelism: false, // each uses the whole machine
    testTimeout: 120_000,
    hookTimeout: 600_000,
    reporters: ["default", "./tools/plain-reporter.mjs"],
  },
});
