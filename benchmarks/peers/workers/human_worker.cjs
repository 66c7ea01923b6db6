/* @vladmandic/human: BlazeFace and emotion, nothing else, on the wasm backend, without its caches. */
'use strict';
const { serve, installed, folderUrl, fetchFiles, strongest } = require('./serve.cjs');

const LABELS = ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'];
const GRAY_OF_RGB = [0.2989, 0.587, 0.114];
const OFF = { enabled: false };
const NO_CACHE = { skipFrames: 0, skipTime: 0 };

function configuration() {
  return {
    backend: 'wasm',
    wasmPath: `${installed('@tensorflow/tfjs-backend-wasm/dist')}/`,
    modelBasePath: folderUrl(installed('@vladmandic/human/models')),
    debug: false,
    async: false,
    cacheSensitivity: 0,
    filter: OFF, gesture: OFF, body: OFF, hand: OFF, object: OFF, segmentation: OFF,
    face: {
      enabled: true,
      detector: { maxDetected: 10, ...NO_CACHE },
      mesh: OFF, iris: OFF, description: OFF,
      emotion: { enabled: true, minConfidence: 0, ...NO_CACHE },
    },
  };
}

/* human's own preprocessing of a face, for it has no call for a face alone. */
function emotionInput(tf, face, sidePx) {
  const rgb = tf.tile(tf.div(tf.tensor4d(face, [1, 48, 48, 1]), 255), [1, 1, 1, 3]);
  const gray = tf.sum(tf.mul(tf.image.resizeBilinear(rgb, [sidePx, sidePx]), GRAY_OF_RGB), 3, true);
  return tf.mul(tf.sub(gray, 0.5), 2);
}

async function load() {
  fetchFiles();
  const { Human } = require(installed('@vladmandic/human/dist/human.node-wasm.js'));
  const human = new Human(configuration());
  await human.load();
  const tf = human.tf;
  const network = human.models.models.emotion;
  const sidePx = network.inputs[0].shape[1];

  async function classify(face) {
    const scores = tf.tidy(() => network.execute(emotionInput(tf, face, sidePx)));
    const values = await scores.data();
    tf.dispose(scores);
    return LABELS[values.indexOf(Math.max(...values))];
  }

  async function read(frame) {
    const image = tf.tensor3d(frame, [480, 640, 3], 'int32');
    const result = await human.detect(image);
    tf.dispose(image);
    return result.face.map((face) => strongest(Object.fromEntries(face.emotion.map((e) => [e.emotion, e.score]))));
  }

  return { labels: LABELS, pipeline: 'BlazeFace in every frame, 64x64 network (TensorFlow.js, wasm)', classify, read };
}

serve(load);
