"""`python -m sentido_score` is the command `sentido-score`."""

from sentido_score.command import main

if __name__ == "__main__":
    main()
