/* The worker's side of the line protocol for node; serve.py describes it. */
'use strict';
const fs = require('fs');
const path = require('path');
const readline = require('readline');
const { pathToFileURL, fileURLToPath } = require('url');

const FACE_BYTES = 48 * 48;
const FRAME_BYTES = 480 * 640 * 3;

/* Reads the raw pictures asked for; frames come as BGR and are turned into RGB. */
function readPicture(file, bytes, index) {
  const pixels = new Uint8Array(bytes);
  const handle = fs.openSync(file);
  fs.readSync(handle, pixels, 0, bytes, index * bytes);
  fs.closeSync(handle);
  if (bytes === FRAME_BYTES) {
    for (let i = 0; i < bytes; i += 3) [pixels[i], pixels[i + 2]] = [pixels[i + 2], pixels[i]];
  }
  return pixels;
}

async function timed(run, pictures) {
  const labels = [];
  const wallMs = [];
  const cpuBefore = process.cpuUsage();
  for (const picture of pictures) {
    const startedMs = performance.now();
    labels.push(await run(picture));
    wallMs.push(performance.now() - startedMs);
  }
  const cpu = process.cpuUsage(cpuBefore);
  return { labels, wall_ms: wallMs, cpu_ms: (cpu.user + cpu.system) / 1e3 / pictures.length };
}

function statusMb(key) {
  try {
    const line = fs.readFileSync('/proc/self/status', 'utf8').match(new RegExp(`^${key}:\\s+(\\d+)`, 'm'));
    return line ? Number(line[1]) * 1024 / 1e6 : null;
  } catch {
    return null;
  }
}

async function answer(peer, request) {
  const { op, file, indices } = request;
  if (op === 'describe') return { labels: peer.labels, pipeline: peer.pipeline };
  if (op === 'rss') return { rss_mb: statusMb('VmRSS'), peak_rss_mb: statusMb('VmHWM') };
  const [run, bytes] = { classify: [peer.classify, FACE_BYTES], pipeline: [peer.read, FRAME_BYTES] }[op];
  return timed(run, indices.map((index) => readPicture(file, bytes, index)));
}

/* Answers until the input ends; what libraries print goes to standard error. */
async function serve(load) {
  console.log = console.error;
  console.info = console.error;
  let peer = null;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let reply;
    try {
      peer = peer || await load();
      reply = await answer(peer, JSON.parse(line));
    } catch (error) {
      reply = { error: String(error).replace(/\s+/g, ' ') };
    }
    fs.writeSync(1, `${JSON.stringify(reply)}\n`);
  }
}

/* Lets fetch, which node keeps to the network, read model files too. */
function fetchFiles() {
  const fetchWeb = globalThis.fetch;
  globalThis.fetch = async (url, options) => (
    String(url).startsWith('file:') ? new Response(fs.readFileSync(fileURLToPath(String(url)))) : fetchWeb(url, options));
}

/* Where a package lies in the environment, which is the worker's first argument. */
const installed = (name) => path.join(process.argv[2], 'node_modules', name);
const folderUrl = (folder) => `${pathToFileURL(folder).href}/`;

/* The name of the largest of { name: score }. */
const strongest = (scores) => Object.entries(scores).reduce((best, pair) => (pair[1] > best[1] ? pair : best))[0];

module.exports = { serve, installed, folderUrl, fetchFiles, strongest };
