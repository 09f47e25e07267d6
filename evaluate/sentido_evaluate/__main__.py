"""`python -m sentido_evaluate` is the command `sentido-evaluate`."""

from sentido_evaluate.command import main

if __name__ == "__main__":
    main()
