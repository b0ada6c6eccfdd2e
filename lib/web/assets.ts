/**
 * The files of the page, in memory: what is asked for is looked up by its name among them, and no file is opened for it.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

const FOLDER = new URL("./assets/", import.meta.url);

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  png: "image/png",
  svg: "image/svg+xml",
  webmanifest: "application/manifest+json",
};

/** One file. */
export class Asset {
  /** Its content type. */
  readonly type: string;
  /** As it is. */
  readonly bytes: Uint8Array;
  /** Of the content; letters and digits. */
  readonly hash: string;
  #gzipped: Uint8Array | undefined;

  /** A file's type, as a header has it, and its content. */
  constructor(type: string, bytes: Uint8Array) {
    this.type = type;
    this.bytes = bytes;
    this.hash = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
  }

  /** Compressed by whoever asks first; undefined when that makes it no smaller. */
  get gzipped(): Uint8Array | undefined {
    this.#gzipped ??= new Uint8Array(gzipSync(this.bytes, { level: 9 }));
    return this.#gzipped.length < this.bytes.length ? this.#gzipped : undefined;
  }
}

/** By the paths they are asked for with. */
export type Assets = ReadonlyMap<string, Asset>;

/** Of the pages, what both have. */
const SHARED = ["tokens.css", "icon.svg"] as const;

/** The files of the page for operators. */
export function loadOperatorAssets(): Assets {
  return loadAssets(new URL("operators/", FOLDER), SHARED);
}

/**
 * Reads them all, and those that are `shared` with the page of the chat. Where the page names one of the others, the name gets its hash, as in `app.js?v=0123456789abcdef`: it may
 * be kept for good, and nodes of two versions behind one proxy never mix theirs in a browser.
 */
export function loadAssets(folder: URL = FOLDER, shared: readonly string[] = []): Assets {
  const assets = new Map<string, Asset>();
  const add = (name: string, from: URL) => {
    const type = TYPES[name.slice(name.lastIndexOf(".") + 1)];
    if (type === undefined) throw new Error(`${name} is of no type that a browser is given`);
    assets.set(`/${name}`, new Asset(type, Deno.readFileSync(new URL(name, from))));
  };
  for (const name of shared) add(name, FOLDER);
  for (const { name, isFile } of Deno.readDirSync(folder)) {
    if (isFile && name !== "index.html") add(name, folder);
  }
  const page = Deno.readTextFileSync(new URL("index.html", folder));
  const linked = page.replace(/\b(href|src)="([\w.-]+)"/g, (all, attribute, name) => {
    const asset = assets.get(`/${name}`);
    return asset ? `${attribute}="${name}?v=${asset.hash}"` : all;
  });
  assets.set("/", new Asset(TYPES.html ?? "", new TextEncoder().encode(linked)));
  return assets;
}
