// Preload of splat-transform, `node --import`: its k-means of SH finds the nearest centroids by the Python module
// gscodec_tools.nearest_centroids, run by the interpreter $GSCODEC_PYTHON, instead of its k-d tree. Both are exact; on
// 45 columns the tree is slower than comparing all with all. The package on disk stays as it is.

import { spawnSync } from 'node:child_process';
import { register } from 'node:module';
import { isMainThread } from 'node:worker_threads';

const FILE = '/splat-transform/dist/cli.mjs';
const SEARCH = 'const clusterKdTreeCpu = (points, centroids, labels) => {';
const REPLACEMENT = `const clusterKdTreeCpu = globalThis.nearestCentroids;
const kdTreeSearch = (points, centroids, labels) => {`;

const nearestCentroids = (points, centroids, labels) => {
    const columns = [...points.columns, ...centroids.columns];
    const sizes = [points.numRows, centroids.numRows, points.numColumns].map(String);
    const done = spawnSync(process.env.GSCODEC_PYTHON, ['-m', 'gscodec_tools.nearest_centroids', ...sizes], {
        input: Buffer.concat(columns.map(column => Buffer.from(new Float32Array(column.data).buffer))),
        maxBuffer: Infinity,
        stdio: ['pipe', 'pipe', 'inherit']
    });
    if (done.error) {
        throw done.error;
    }
    if (done.status !== 0 || done.stdout.length !== labels.byteLength) {
        throw new Error(`nearest_centroids ended with ${done.status ?? done.signal}, ${done.stdout.length} bytes`);
    }
    Buffer.from(labels.buffer, labels.byteOffset, labels.byteLength).set(done.stdout);
};

export const load = async (url, context, nextLoad) => {
    const loaded = await nextLoad(url, context);
    if (!url.endsWith(FILE)) {
        return loaded;
    }
    const parts = Buffer.from(loaded.source).toString().split(SEARCH);
    if (parts.length !== 2) {
        throw new Error(`${url}: ${parts.length - 1} times instead of once: ${SEARCH}`);
    }
    return { ...loaded, source: parts.join(REPLACEMENT) };
};

// Hooks run in a thread of their own, which loads this file again.
if (isMainThread) {
    globalThis.nearestCentroids = nearestCentroids;
    register(import.meta.url);
}
