/* @vladmandic/face-api: tiny face detector and expressions on the wasm backend. */
'use strict';
const { serve, installed, strongest } = require('./serve.cjs');

const LABELS = ['neutral', 'happy', 'sad', 'angry', 'fearful', 'disgusted', 'surprised'];

async function load() {
  const wasm = require(installed('@tensorflow/tfjs-backend-wasm'));
  wasm.setWasmPaths(`${installed('@tensorflow/tfjs-backend-wasm/dist')}/`);
  const faceapi = require(installed('@vladmandic/face-api/dist/face-api.node-wasm.js'));
  const { tf } = faceapi;
  await tf.setBackend('wasm');
  await tf.ready();
  const models = installed('@vladmandic/face-api/model');
  await faceapi.nets.tinyFaceDetector.loadFromDisk(models);
  await faceapi.nets.faceExpressionNet.loadFromDisk(models);
  const options = new faceapi.TinyFaceDetectorOptions();

  async function classify(face) {
    const image = tf.tidy(() => tf.tensor3d(face, [48, 48, 1], 'int32').tile([1, 1, 3]));
    const scores = await faceapi.nets.faceExpressionNet.predictExpressions(image);
    tf.dispose(image);
    return strongest(scores);
  }

  async function read(frame) {
    const image = tf.tensor3d(frame, [480, 640, 3], 'int32');
    const found = await faceapi.detectAllFaces(image, options).withFaceExpressions();
    tf.dispose(image);
    return found.map((face) => strongest(face.expressions));
  }

  return { labels: LABELS, pipeline: 'tiny face detector, 112x112 network (TensorFlow.js, wasm)', classify, read };
}

serve(load);
