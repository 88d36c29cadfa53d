// Bundles the stage to one readable ES module and copies its style sheet: node build.mjs [folder]
import { copyFile, mkdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = path.resolve(process.argv[2] ?? path.join(here, "..", "static"));

await mkdir(folder, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: ["src/main.ts"],
  outfile: path.join(folder, "viewer.js"),
  bundle: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  banner: { js: "// Built from medground/viewer/browser by `npm run build`. Change the source there, not this file." },
});
await copyFile(path.join(here, "viewer.css"), path.join(folder, "viewer.css"));
